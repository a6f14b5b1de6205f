/** The nouns every room shares, as schemas at the boundary and as plain types inside. */
import { z } from 'zod'

/** Identity providers with an adapter; `idp/index.ts` must have a row for each. */
export const IDP_NAMES = ['keycloak', 'embedded'] as const
export type IdpName = (typeof IDP_NAMES)[number]
export const idpName = z.enum(IDP_NAMES)

/** Who may issue the tokens of an identity: more than can be set up; `idp/tokens.ts` must have a row for each. */
export const AUTH_PROVIDERS = [...IDP_NAMES, 'okta', 'entra', 'auth0', 'cognito', 'oidc'] as const
export type AuthProvider = (typeof AUTH_PROVIDERS)[number]

/** What a person types for "nothing but visible characters, no line breaks". */
const VISIBLE = /^[^\p{C}\p{Z}]+(?: [^\p{C}\p{Z}]+)*$/u

/** OAuth client identifier (RFC 6749 section 2.2), narrowed to what the gateway registry stores: 1 to 256 of `A-Z a-z 0-9 _ - . :`. */
export const clientId = z.string().regex(/^[A-Za-z0-9_\-.:]{1,256}$/, '1 to 256 of A-Z a-z 0-9 _ - . :')

/** Human-readable client name (RFC 7591 section 2, `client_name`). */
export const clientName = z.string().min(1).max(256).regex(VISIBLE, 'visible characters with single spaces between words')

/** Given or family name of a person. */
export const personName = z.string().min(1).max(255).regex(VISIBLE, 'visible characters with single spaces between words')

/** Owner mark on every object that we make, with the profile as its value. */
export const OWNER_MARK = 'mcp_gateway_idp'

/**
 * Name of a group, without a path: Keycloak accepts a slash at creation and then cannot tell the group from a child.
 * `.` and `..` would vanish from the path of a URL.
 */
export const groupName = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[^\s/\p{C}](?:[^/\p{C}]*[^\s/\p{C}])?$/u, 'no slash, no control characters, no space at the ends')
  .refine((name) => name !== '.' && name !== '..', 'another name than . and ..')

/** A nested group by its path, without a leading slash: `engineering/platform`. */
export const groupPath = z
  .string()
  .max(1024)
  .refine(
    (path) => path.split('/').every((segment) => groupName.safeParse(segment).success),
    'names of groups, joined by / where one is inside another',
  )

/** What a person types to log in; lower case, since providers fold it. */
export const userName = z.string().regex(/^[a-z0-9][a-z0-9._@-]{0,63}$/, 'up to 64 of a-z 0-9 . _ @ -, in lower case')

/** Names of devices on Windows, also with an extension; a file of that name is none. */
const DEVICE = /^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i

/** Short name for machine things that become file names on any system: an identity, a machine client. */
export const fileSafeName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'a letter or digit, then up to 63 of A-Z a-z 0-9 . _ -')
  .refine((name) => !name.endsWith('.'), 'no dot at the end')
  .refine((name) => !DEVICE.test(name), 'another name: some systems keep it for a device')

/** TCP port to listen on. */
export const port = z.coerce.number().int().min(1).max(65535)

/** Absolute http or https URL without userinfo or fragment. */
export const httpUrl = z
  .string()
  .max(2048)
  .superRefine((value, context) => {
    let url: URL
    try {
      url = new URL(value)
    } catch {
      context.addIssue({ code: 'custom', message: 'an absolute URL such as https://gateway.example.com/my-server/mcp' })
      return
    }
    if (url.protocol !== 'http:' && url.protocol !== 'https:') context.addIssue({ code: 'custom', message: 'an http or https URL' })
    if (url.username !== '' || url.password !== '') context.addIssue({ code: 'custom', message: 'no user name or password inside the URL' })
    if (url.hash !== '') context.addIssue({ code: 'custom', message: 'no fragment' })
  })

/** Path of a server in the registry, with its leading slash: `/demo`. */
export const serverPath = z
  .string()
  .max(256)
  .transform((value) => `/${value.replace(/^\/+|\/+$/g, '')}`)
  .pipe(z.string().regex(/^\/[A-Za-z0-9][A-Za-z0-9._-]*(?:\/[A-Za-z0-9][A-Za-z0-9._-]*)*$/, 'a path such as /demo'))

/** Audience that the gateway accepts, unless configured otherwise (the `aud` of RFC 9068 section 2.2). */
export const DEFAULT_AUDIENCE = 'mcp-gateway'
/** Claim that carries the groups. */
export const GROUPS_CLAIM = 'groups'
