/** The last part of Codex's redirect URI: an id made from the URL of the MCP server, the same in every version since 0.131. */
import { createHash } from 'node:crypto'
import { invalidInput } from '../core/errors.js'

/** 12 characters of `A-Z a-z 0-9 - _`. A trailing slash and a query make another id, a fragment does not. @throws ToolkitError invalid_input when it is no URL */
export function codexCallbackId(serverUrl: string): string {
  if (!URL.canParse(serverUrl)) throw invalidInput('the server URL', [{ path: 'url', expected: 'an absolute URL' }])
  const url = new URL(serverUrl)
  url.hash = ''
  return createHash('sha256').update(url.href).digest('base64url').slice(0, 12)
}

/** True for a loopback redirect URI that only Codex makes, of whichever server. */
export function isCodexCallback(uri: string): boolean {
  return /^http:\/\/(?:127\.0\.0\.1|localhost)(?::[1-9]\d{0,4})?\/callback\/[A-Za-z0-9_-]{12}$/.test(uri)
}
