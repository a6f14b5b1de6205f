/** The three servers of `start` in one process: identity provider, registry, demo MCP server; their state lies in the home. */
import { join, relative } from 'node:path'
import { Problems } from '../core/errors.js'
import { createPrivateFile } from '../core/private-file.js'
import { makePrivateFolder } from '../core/private-folder.js'
import { secretFile } from '../core/secret-file.js'
import { startEmbeddedProvider } from '../idp/embedded/server.js'
import { demoServer } from '../mcp-server/demo.js'
import { type RunningRegistry, startRegistry } from '../registry/server/start.js'
import { type Environment, type Profile, readProfile, saveProfile } from '../toolkit/home.js'
import { parseIssuers, trusted } from '../toolkit/trusted-issuers.js'

/** Who is there from the first start: two groups, two people, the gateway's own machine client. */
export const DEMO = {
  server: '/demo',
  groups: ['registry-admins', 'demo-readers'],
  people: [
    { username: 'ada', name: 'Ada Demo', email: 'ada@demo.example', groups: ['demo-readers'] },
    { username: 'grace', name: 'Grace Demo', email: 'grace@demo.example', groups: ['registry-admins'] },
  ],
  gateway: 'mcp-gateway-m2m',
  scopes: ['openid', 'profile', 'groups'],
} as const

export interface World {
  readonly home: string
  readonly issuer: string
  readonly registryUrl: string
  readonly peopleFile: string
  close(): Promise<void>
}

export interface WorldOptions {
  readonly home: string
  /** As typed; undefined means the one used before, else the default. */
  readonly port?: string | undefined
  readonly issuerPort?: string | undefined
  readonly env: Environment
  /** Each part as it comes up. */
  readonly onUp: (part: 'provider' | 'registry', url: string) => void
  /** One line of the servers' own log. */
  readonly log: (entry: Record<string, unknown>) => void
}

const DEFAULT_PORTS = { registry: 7860, issuer: 8888 }

/** @throws ToolkitError invalid_input for a port that is busy or no port, naming its flag */
export async function startWorld(options: WorldOptions): Promise<World> {
  const { home, env, log } = options
  // Refuses a home that others can write to, before anything is written there.
  const profile = await readProfile(home)
  const ports = choosePorts(options, profile)
  await makePrivateFolder(home)
  // Nothing of a home is ever committed with the project around it; a file that is there is somebody's.
  await createPrivateFile(join(home, '.gitignore'), '*\n')
  const resources: string[] = []
  const provider = await startEmbeddedProvider({
    folder: join(home, 'provider'),
    port: ports.issuer,
    seed: { groups: DEMO.groups, people: DEMO.people, machine: { client_name: DEMO.gateway } },
    resources: () => resources,
    onLog: (entry) => log({ server: 'provider', ...entry }),
    onRequest: (entry) => log({ server: 'provider', ...entry }),
  })
  options.onUp('provider', provider.issuer)
  let registry: RunningRegistry | undefined
  try {
    const settings = { ...profile.settings, EMBEDDED_ISSUER: provider.issuer }
    // Saved before any record names the issuer: a start that is cut off after this is mended at the same port.
    await saveProfile(home, { profile: profile.profile, settings })
    const identityFile = join(home, 'gateway', `${DEMO.gateway}.json`)
    const facts = { identity_name: DEMO.gateway, auth_provider: 'embedded', issuer: provider.issuer }
    await secretFile(identityFile, facts).save(provider.machine.client_secret, provider.machine.client_id)
    const embedded = trusted('embedded', provider.issuer)
    const others = env['REGISTRY_ISSUERS'] ? parseIssuers(env['REGISTRY_ISSUERS']).filter(({ issuer }) => issuer !== embedded.issuer) : []
    const issuers = [...others, embedded]
    registry = await startRegistry({
      folder: join(home, 'registry'),
      port: ports.registry,
      issuers,
      seed: {
        m2m_client: { client_id: provider.machine.client_id, name: DEMO.gateway, issuer: provider.issuer, groups: ['registry-admins'] },
      },
      onRequest: (entry) => log({ server: 'registry', ...entry }),
      mount: (app, { url, authenticate }) =>
        demoServer({
          path: DEMO.server,
          publicUrl: url,
          issuer: provider.issuer,
          scopes: DEMO.scopes,
          verify: (token) => authenticate(new Headers({ authorization: `Bearer ${token}` })),
          onCall: (entry) => log({ server: 'demo', ...entry }),
        })(app),
    })
    resources.push(`${registry.url}${DEMO.server}/mcp`)
    options.onUp('registry', registry.url)
    await saveProfile(home, {
      profile: profile.profile,
      settings: {
        ...settings,
        REGISTRY_URL: registry.url,
        REGISTRY_ISSUERS: issuers.map(({ name, issuer }) => `${name}=${issuer}`).join(','),
        REGISTRY_IDENTITY_FILE: relative(home, identityFile),
        EMBEDDED_INITIAL_ACCESS_TOKEN: `file:${relative(home, provider.files.initialAccessToken)}`,
        EMBEDDED_ADMIN_TOKEN: `file:${relative(home, provider.files.adminToken)}`,
      },
    })
    const { url: registryUrl, close: closeRegistry } = registry
    const close = async () => {
      await closeRegistry()
      await provider.close()
    }
    return { home, issuer: provider.issuer, registryUrl, peopleFile: provider.files.people, close }
  } catch (error) {
    await registry?.close()
    await provider.close()
    throw error
  }
}

/**
 * The port of the last start, else the flag (0 lets the system choose), else the default. Another registry port is taken;
 * another issuer port is not: tokens, clients and records name the issuer.
 */
function choosePorts({ port, issuerPort }: WorldOptions, { settings }: Profile): { registry: number; issuer: number } {
  const problems = new Problems()
  const typed = (flag: string, text: string | undefined, before: number | undefined, fallback: number): number => {
    if (text === undefined) return before ?? fallback
    if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) problems.add(flag, 'a port, 0 to 65535', text.slice(0, 20))
    return Number(text) || (before ?? 0)
  }
  const issuerBefore = portOf(settings['EMBEDDED_ISSUER'])
  const registry = typed('--port', port, portOf(settings['REGISTRY_URL']), DEFAULT_PORTS.registry)
  const issuer = typed('--issuer-port', issuerPort, issuerBefore, DEFAULT_PORTS.issuer)
  if (issuerBefore !== undefined && issuer !== issuerBefore)
    problems.add('--issuer-port', `${issuerBefore}, or another --home: what was set up here names that issuer`, String(issuer))
  problems.throwIfAny('the command line')
  return { registry, issuer }
}

function portOf(url: string | undefined): number | undefined {
  // A URL leaves out the port that its scheme implies.
  return url !== undefined && URL.canParse(url) ? Number(new URL(url).port || 80) : undefined
}
