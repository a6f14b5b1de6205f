/**
 * Certificates nobody should trust, made by openssl when a test asks, valid for a day.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const KINDS = { ec: ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'], rsa: ['rsa:2048'] }

/** A self-signed certificate for `altName`, such as `IP:127.0.0.1` or `DNS:idp.example.com`. */
export function selfSigned(altName: string, kind: keyof typeof KINDS = 'ec'): { key: string; cert: string } {
  const folder = mkdtempSync(join(tmpdir(), 'certificate-'))
  const key = join(folder, 'key.pem')
  const cert = join(folder, 'cert.pem')
  try {
    const request = ['req', '-x509', '-newkey', ...KINDS[kind], '-nodes', '-days', '1']
    execFileSync('openssl', [...request, '-subj', '/CN=rig', '-addext', `subjectAltName=${altName}`, '-keyout', key, '-out', cert], {
      stdio: 'ignore',
    })
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
