/**
 * A hundred objects of others in one realm, planted and photographed with plain fetch: clients of every shape, groups flat
 * and nested, people; their names are ours with something more, less or otherwise.
 */
import type { AdminAnswer, Realm } from './rig/keycloak.js'

const MARK = 'mcp_gateway_idp'
const AT_ONCE = 8

/** Other spellings of a name of ours. */
const near = (name: string) => [
  `${name}2`,
  `${name}-`,
  `${name}.old`,
  `x${name}`,
  `my-${name}`,
  name.slice(0, -1),
  name.replaceAll('-', '_'),
  name.replaceAll('-', ' '),
]
const twins = (name: string) => [name.toUpperCase(), name.replaceAll(/(?:^|-)[a-z]/g, (start) => start.toUpperCase())]

/** Said in full: with a protocol, Keycloak takes a client for public unless told otherwise. */
const SECRET = { publicClient: false, standardFlowEnabled: false, directAccessGrantsEnabled: false }
const SHAPES = {
  public: { ...SECRET, publicClient: true, standardFlowEnabled: true },
  web: { ...SECRET, standardFlowEnabled: true },
  machine: { ...SECRET, serviceAccountsEnabled: true },
  'bearer-only': { ...SECRET, bearerOnly: true },
  // Otherwise Keycloak makes keys for it, which takes many seconds.
  saml: { protocol: 'saml', attributes: { 'saml.client.signature': 'false' } },
  direct: { ...SECRET, directAccessGrantsEnabled: true },
} as const
type Shape = keyof typeof SHAPES
const ALL_SHAPES = Object.keys(SHAPES) as Shape[]

interface Client {
  readonly name: string
  readonly shape: Shape
  readonly mark?: string
}
const OF_OTHERS: readonly (Client & { readonly kind: string })[] = [
  { name: 'other-public-client', shape: 'public', mark: 'other', kind: 'public-client' },
  { name: 'other-web-client', shape: 'web', mark: 'other', kind: 'web-client' },
  { name: 'other-machine-client', shape: 'machine', mark: 'other', kind: 'machine-client' },
  { name: 'shouting-client', shape: 'public', mark: 'DEFAULT', kind: 'public-client' },
]
/** 44 clients. */
export const clients: readonly Client[] = [
  ...['mcp-gateway-ide', 'reporting-agent', 'mcp-gateway-web', 'mcp-gateway-m2m'].flatMap((ours, row) => [
    ...near(ours).map((name, index): Client => ({ name, shape: ALL_SHAPES[(index + row) % ALL_SHAPES.length] ?? 'public' })),
    // One with a service account could not be made: its user would have the name of ours.
    ...twins(ours).map((name): Client => ({ name, shape: 'public' })),
  ]),
  ...OF_OTHERS,
].map((client) => (client.name === 'reporting-agent2' ? { ...client, shape: 'machine' } : client))

interface Group {
  /** Where it is; undefined for one that a path cannot name. */
  readonly path: string | undefined
  readonly name: string
  readonly inside?: string
  readonly mark?: string
}
const group = (path: string, mark?: string): Group => {
  const slash = path.lastIndexOf('/')
  const place = slash === -1 ? { name: path } : { name: path.slice(slash + 1), inside: path.slice(0, slash) }
  return { path, ...place, ...(mark === undefined ? {} : { mark }) }
}
/** 28 groups, parents before children. */
export const groups: readonly Group[] = [
  group('their-team'),
  group('their-team/inner'),
  group('other-group', 'other'),
  group('shouting-group', 'DEFAULT'),
  group('other'),
  group('other/data-readers'),
  group('other/data-readers/platform'),
  group('other/registry-admins'),
  group('Engineering'),
  group('Engineering/platform'),
  group('engineering/guest'),
  { path: undefined, name: 'engineering/platform2' },
  { path: undefined, name: 'data-readers/inner' },
  ...['data-readers', 'registry-admins'].flatMap((ours) =>
    [...near(ours).slice(0, 6), ...twins(ours).slice(0, 1)].map((name) => group(name)),
  ),
  group('engineering2'),
]

interface Person {
  readonly name: string
  readonly mark?: string
}
/** 28 people; the server keeps names in lower case, so there are no twins. */
export const people: readonly Person[] = [
  { name: 'other-person', mark: 'other' },
  { name: 'shouting-person', mark: 'DEFAULT' },
  ...['jsmith', 'admin', 'reporting-agent'].flatMap((ours) => [...near(ours).slice(0, 6), `${ours}@example.com`].map((name) => ({ name }))),
  ...['j.smith', 'registry-admins', 'data-readers', 'mcp-gateway-ide', 'mcp-gateway-m2m'].map((name) => ({ name })),
]

/** Makes all of them and tells how many. @throws Error with the first that is refused */
export async function plant(realm: Realm): Promise<number> {
  const made = async (what: string, answer: Promise<AdminAnswer>) => {
    const { status, id, body } = await answer
    if (status !== 201 || id === undefined) throw new Error(`${what}: ${status} ${JSON.stringify(body)}`)
    return id
  }
  const known = await ids(realm)
  for (const { path, name, inside, mark } of groups) {
    const at = inside === undefined ? '/groups' : `/groups/${known.get(`group ${inside}`)}/children`
    const attributes = { 'cost-centre': ['their own'], ...(mark === undefined ? {} : { [MARK]: [mark] }) }
    known.set(`group ${path ?? name}`, await made(name, realm.admin('POST', at, { name, description: 'of others', attributes })))
  }
  await each(people, async ({ name, mark }, index) => {
    const id = await made(
      name,
      realm.admin('POST', '/users', {
        username: name,
        enabled: index % 3 !== 0,
        firstName: 'Their',
        lastName: 'Person',
        email: `their-${index}@example.org`,
        requiredActions: ['UPDATE_PROFILE'],
        // Hashing a password costs the server a quarter of a second.
        ...(index % 5 === 2 ? { credentials: [{ type: 'password', value: 'a password of others', temporary: false }] } : {}),
        ...(mark === undefined ? {} : { attributes: { [MARK]: [mark] } }),
      }),
    )
    await realm.admin('PUT', `/users/${id}/groups/${known.get('group their-team')}`)
  })
  await each(clients, async ({ name, shape, mark }) => {
    const kind = OF_OTHERS.find((one) => one.name === name)?.kind
    const marks = mark === undefined ? {} : { [MARK]: mark, [`${MARK}.kind`]: kind }
    const fields: { readonly attributes?: object; readonly publicClient?: boolean } = SHAPES[shape]
    const body = { ...theirClient(name, shape), ...fields, attributes: { ...THEIRS, ...marks, ...fields.attributes } }
    const id = await made(name, realm.admin('POST', '/clients', body))
    if (shape !== 'machine') return
    const account = await realm.admin<{ id: string }>('GET', `/clients/${id}/service-account-user`)
    await realm.admin('PUT', `/users/${account.body.id}/groups/${known.get('group other/data-readers')}`)
  })
  return clients.length + groups.length + people.length
}

const THEIRS = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`their.${index}`, `value ${index}`]))
/** With 30 attributes, the mappers and these there are more than 60 fields that we know nothing of. */
function theirClient(clientId: string, shape: Shape): object {
  const protocol = shape === 'saml' ? 'saml' : 'openid-connect'
  const mapper = (index: number) =>
    protocol === 'saml'
      ? { protocolMapper: 'saml-hardcode-attribute-mapper', config: { 'attribute.name': `their_${index}`, 'attribute.value': 'yes' } }
      : {
          protocolMapper: 'oidc-hardcoded-claim-mapper',
          config: { 'claim.name': `their_${index}`, 'claim.value': 'yes', 'jsonType.label': 'String', 'access.token.claim': 'true' },
        }
  return {
    clientId,
    name: 'Their client',
    description: 'of others',
    rootUrl: 'https://their.example.org',
    baseUrl: '/start',
    adminUrl: 'https://their.example.org/admin',
    redirectUris: ['https://their.example.org/callback'],
    webOrigins: ['https://their.example.org'],
    protocol,
    protocolMappers: Array.from({ length: 6 }, (_, index) => ({ name: `their-${index}`, protocol, ...mapper(index) })),
  }
}

/** What the server shows of each object, whole, by `client <id>`, `group <path>`, `person <name>`. */
export type Snapshot = Readonly<Record<string, unknown>>

type Row = Readonly<Record<string, unknown>> & { readonly id: string }

export async function snapshot(realm: Realm): Promise<Snapshot> {
  const known = await ids(realm)
  const idOf = (name: string) => known.get(name) ?? known.get(name.replace('engineering/guest', 'guest'))
  const get = async (path: string) => (await realm.admin('GET', path)).body
  const list = async (path: string, field: string) =>
    ((await realm.admin<Row[]>('GET', path)).body.map((row) => row[field]) as string[]).toSorted()
  const rows = await Promise.all([
    each(clients, async ({ name, shape }) => {
      const at = `/clients/${idOf(`client ${name}`)}`
      const account = shape === 'machine' ? ((await get(`${at}/service-account-user`)) as Row) : undefined
      const groupsOf = account ? await list(`/users/${account.id}/groups`, 'path') : []
      return [`client ${name}`, { ...((await get(at)) as Row), account, groups: groupsOf }]
    }),
    each(groups, async ({ path, name }) => {
      const id = idOf(`group ${path ?? name}`)
      const members = await list(`/groups/${id}/members?max=1000`, 'username')
      return [
        `group ${path ?? name}`,
        { ...((await get(`/groups/${id}`)) as Row), members, children: await list(`/groups/${id}/children`, 'id') },
      ]
    }),
    each(people, async ({ name }) => {
      const at = `/users/${idOf(`person ${name}`)}`
      const [person, credentials] = [(await get(`${at}?userProfileMetadata=false`)) as Row, await get(`${at}/credentials`)]
      return [`person ${name}`, { ...person, credentials, groups: await list(`${at}/groups`, 'path') }]
    }),
  ])
  return Object.fromEntries(rows.flat().map(([name, row]) => [name, sorted(row)]))
}

/** The server's ids, by the names of a snapshot. */
export async function ids(realm: Realm): Promise<Map<string, string>> {
  const rows = async (path: string) => (await realm.admin<Row[]>('GET', `${path}${path.includes('?') ? '&' : '?'}max=1000`)).body
  const found = new Map<string, string>()
  for (const { id, clientId } of await rows('/clients')) found.set(`client ${String(clientId)}`, id)
  for (const { id, username } of await rows('/users')) found.set(`person ${String(username)}`, id)
  const walk = async (path: string, above: string) => {
    for (const { id, name } of await rows(path)) {
      found.set(`group ${above}${String(name)}`, id)
      await walk(`/groups/${id}/children`, `${above}${String(name)}/`)
    }
  }
  await walk('/groups', '')
  return found
}

/** Leaves of an object by their path: `attributes.x`; mappers by their names. */
export function flatFields(value: unknown, path = ''): Map<string, string> {
  if (typeof value !== 'object' || value === null) return new Map([[path.slice(1), JSON.stringify(value)]])
  const entries = Object.entries(value).map(([name, inner]): [string, unknown] => {
    const isMapper = path === '.protocolMappers' && typeof inner === 'object' && inner !== null && 'name' in inner
    return [isMapper ? String(inner.name) : name, inner]
  })
  return new Map(entries.flatMap(([name, inner]) => [...flatFields(inner, `${path}.${name}`)]))
}

/** Lists that the server gives in any order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted).toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, sorted(inner)]))
}

async function each<T, R>(items: readonly T[], work: (item: T, index: number) => Promise<R>): Promise<R[]> {
  const answers: R[] = []
  const queue = items.map((item, index) => ({ item, index }))
  const worker = async () => {
    for (let one = queue.shift(); one !== undefined; one = queue.shift()) answers[one.index] = await work(one.item, one.index)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return answers
}
