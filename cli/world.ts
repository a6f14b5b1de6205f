/** The three servers of `start` in one process: identity provider, registry, demo MCP server; their state lies in the home. */
import { join, relative } from 'node:path'
import { invalidInput, type Problem } from '../core/errors.js'
import { makePrivateFolder, savePrivateFile, secretFile } from '../core/private-file.js'
import { startEmbeddedProvider } from '../idp/embedded/server.js'
import { demoServer } from '../mcp-server/demo.js'
import { startRegistry } from '../registry/server/start.js'
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
  await makePrivateFolder(home)
  // Nothing of a home is ever committed with the project around it.
  await savePrivateFile(join(home, '.gitignore'), '*\n')
  const profile = await readProfile(home)
  const ports = choosePorts(options, profile)
  const resources: string[] = []
  const provider = await startEmbeddedProvider({
    folder: join(home, 'provider'),
    port: ports.issuer,
    seed: { groups: DEMO.groups, people: DEMO.people, machine: { client_name: DEMO.gateway } },
    resources: () => resources,
    onLog: (entry) => log({ server: 'provider', ...entry }),
  })
  options.onUp('provider', provider.issuer)
  try {
    const identityFile = join(home, 'gateway', `${DEMO.gateway}.json`)
    const facts = { identity_name: DEMO.gateway, auth_provider: 'embedded', issuer: provider.issuer }
    await secretFile(identityFile, facts).save(provider.machine.client_secret, provider.machine.client_id)
    const embedded = trusted('embedded', provider.issuer)
    const others = env['REGISTRY_ISSUERS'] ? parseIssuers(env['REGISTRY_ISSUERS']).filter(({ issuer }) => issuer !== embedded.issuer) : []
    const issuers = [...others, embedded]
    const registry = await startRegistry({
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
        ...profile.settings,
        REGISTRY_URL: registry.url,
        REGISTRY_ISSUERS: issuers.map(({ name, issuer }) => `${name}=${issuer}`).join(','),
        REGISTRY_IDENTITY_FILE: relative(home, identityFile),
        EMBEDDED_ISSUER: provider.issuer,
        EMBEDDED_INITIAL_ACCESS_TOKEN: `file:${relative(home, provider.files.initialAccessToken)}`,
        EMBEDDED_ADMIN_TOKEN: `file:${relative(home, provider.files.adminToken)}`,
      },
    })
    const close = async () => {
      await registry.close()
      await provider.close()
    }
    return { home, issuer: provider.issuer, registryUrl: registry.url, peopleFile: provider.files.people, close }
  } catch (error) {
    await provider.close()
    throw error
  }
}

/** Flag, else the port of the last start (the issuer must be stable), else the default; 0 lets the system choose. */
function choosePorts({ port, issuerPort }: WorldOptions, { settings }: Profile): { registry: number; issuer: number } {
  const problems: Problem[] = []
  const typed = (flag: string, text: string | undefined, saved: string | undefined, fallback: number) => {
    const before = saved !== undefined && URL.canParse(saved) ? Number(new URL(saved).port) : 0
    if (text === undefined) return before || fallback
    if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535)
      problems.push({ path: flag, expected: 'a port, 0 to 65535', found: text.slice(0, 20) })
    return Number(text)
  }
  const registry = typed('--port', port, settings['REGISTRY_URL'], DEFAULT_PORTS.registry)
  const issuer = typed('--issuer-port', issuerPort, settings['EMBEDDED_ISSUER'], DEFAULT_PORTS.issuer)
  if (problems.length > 0) throw invalidInput('the command line', problems)
  return { registry, issuer }
}
