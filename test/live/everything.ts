/**
 * Everything that the adapters do, done once at each server: made, changed, mended, adopted, removed, and what is only read.
 * Each run says what it must have changed, so that nothing is passed over in silence.
 */
import { expect } from 'vitest'
import type { Outcome } from '../../core/converge.js'
import { createDoor, WriteLatch } from '../../core/http.js'
import type { Wanted } from '../../core/plan.js'
import type { Kind } from '../../core/resources.js'
import { Secret } from '../../core/secret.js'
import type { IdpName } from '../../core/vocabulary.js'
import { embedded } from '../../idp/embedded/adapter.js'
import type { RunningProvider } from '../../idp/embedded/server.js'
import type { Tenant } from '../../idp/port.js'
import { createMinter } from '../../idp/tokens.js'
import { IDPS, recipes } from '../../toolkit/index.js'
import { connect } from '../contract/served.js'
import { reconcilerOf, run } from '../contract/tenant.js'
import { absent } from '../fakes/converging.js'
import { type MemorySink, memorySink } from '../fakes/memory-sink.js'
import { timeline } from '../fakes/timeline.js'
import { clientOf, type Mapper, makeFolder } from './product.js'
import { makeRealm, type Realm, unmadeRealm } from './rig/keycloak.js'
import { connectTenant } from './tenant.js'

interface Wish {
  readonly description: string
  readonly redirect: string
  readonly groups: readonly string[]
}
const FIRST: Wish = { description: 'first', redirect: 'http://127.0.0.1/callback', groups: ['team'] }
const SECOND: Wish = { description: 'second', redirect: 'http://localhost/callback', groups: ['team/inner'] }

const newSinks = () => {
  const line = timeline()
  return { web: memorySink(line, 'web'), machine: memorySink(line, 'machine'), person: memorySink(line, 'person') }
}

/** An object of every kind that all adapters hold, as setup makes it. */
function objects(idp: IdpName, sinks: ReturnType<typeof newSinks>, { description, redirect, groups }: Wish, adopt = false): Wanted[] {
  const { capabilities } = IDPS[idp]
  const group = (name: string): Wanted => ({ kind: 'group', key: name, ensure: 'present', spec: { name, description }, adopt })
  return [
    ...['team', 'team/inner'].map(group),
    recipes.ideClient(capabilities, { client_id: 'ide', client_name: 'ide', redirect_uris: [redirect], adopt }),
    recipes.machineClient(capabilities, { client_name: 'machine', groups, sink: sinks.machine, adopt }),
    recipes.person({ username: 'linus', given_name: description, groups, sink: sinks.person, adopt }),
  ]
}
const OBJECTS = ['group team', 'group team/inner', 'machine-client machine', 'public-client ide', 'user linus']
const removals = (...keys: readonly [Kind, string][]): Wanted[] => keys.map(([kind, key]) => absent(kind, key))
const REMOVALS = removals(
  ['group', 'team/inner'],
  ['group', 'team'],
  ['public-client', 'ide'],
  ['machine-client', 'machine'],
  ['user', 'linus'],
)

/** What a run did, in any order: the same to each of these, and no more than `besides`. */
async function expectDone(outcome: Promise<Outcome>, action: string, what: readonly string[], besides: readonly string[] = []) {
  const { applied, changes } = await outcome
  const done = changes.map((one) => `${one.action} ${one.kind} ${one.key}`)
  const wanted = [...what.map((one) => `${action} ${one}`), ...besides]
  expect({ applied, done: done.toSorted() }).toEqual({ applied: true, done: wanted.toSorted() })
}

/** What reads alone tell: rights, and everything that carries our mark. */
async function look({ rights, reconcilers }: Tenant, owned: readonly string[]): Promise<void> {
  expect((await rights())['clients:write']).toBe('yes')
  const listed = Object.entries(reconcilers).map(async ([kind, { owned: list }]) => ((await list?.()) ?? []).map((key) => `${kind} ${key}`))
  expect((await Promise.all(listed)).flat().toSorted()).toEqual(owned.toSorted())
}

/** A machine's token. */
async function mint({ issuer, idp, identityFacts }: Tenant, client_id: string, { content }: MemorySink): Promise<void> {
  const door = createDoor({ origins: [new URL(issuer).origin], latch: new WriteLatch(), isRead: () => true })
  const { identity_name, auth_provider: _, ...fields } = identityFacts('machine')
  const identity = { identity_name, auth_provider: idp, client_id, fields }
  try {
    const { token } = await createMinter(() => door).mint(identity, { client_secret: new Secret(content?.secret ?? '') })
    expect(token.token_type).toMatch(/^bearer$/i)
  } finally {
    await door.close()
  }
}

/** At a Keycloak behind `url`: a realm that is made and filled, and one of somebody else that is adopted with all that it holds. */
export async function everythingAtKeycloak(url: string): Promise<void> {
  const made = unmadeRealm()
  const found = await makeRealm({ groups: ['team'], people: [{ username: 'linus', password: 'a password of linus', groups: ['team'] }] })
  try {
    await wholeLife(made, url)
    await adoption(found, url)
  } finally {
    await made.remove()
    await found.remove()
  }
}

const realmOf = (realm: Realm, lifetime: number, adopt = false) =>
  recipes.gatewayTenant(realm.realm, { access_token_lifetime: lifetime, adopt })

async function wholeLife(realm: Realm, url: string): Promise<void> {
  const sinks = newSinks()
  const { tenant, run, close } = await connectTenant(realm, { variables: { KEYCLOAK_URL: url }, bootstrap: true })
  try {
    const web = webClient(sinks.web)
    const all = [...OBJECTS, 'web-client web']
    await expectDone(run([realmOf(realm, 300), ...objects('keycloak', sinks, FIRST), web]), 'create', [`tenant ${realm.realm}`, ...all])
    await look(tenant, all)
    expect(await tenant.evaluate?.('ide')).toMatchObject({ username: 'linus' })
    expect(await tenant.evaluate?.('ide', 'linus')).toMatchObject({ claims: { groups: ['team'] } })
    await mint(tenant, 'machine', sinks.machine)

    await expectDone(run([realmOf(realm, 200), ...objects('keycloak', sinks, SECOND)]), 'update', [`tenant ${realm.realm}`, ...OBJECTS])
    await spoilMappers(realm)
    await expectDone(run([...objects('keycloak', sinks, SECOND), web]), 'update', ['public-client ide', 'web-client web'])
    const rotated = { kind: 'machine-client', key: 'machine', ensure: 'rotated', sink: sinks.machine } as const
    await expectDone(run([rotated]), 'rotate_secret', ['machine-client machine'])
    // More people than are asked for one by one without counting them first.
    const nobody = removals(...Array.from({ length: 20 }, (_, index) => ['user', `nobody-${index}`] as [Kind, string]))
    await expectDone(run([...REMOVALS, absent('web-client', 'web'), ...nobody]), 'remove', all)
  } finally {
    await close()
  }
}

const webClient = (sink: MemorySink, adopt = false) =>
  recipes.webClient({ client_id: 'web', client_name: 'web', redirect_uris: [FIRST.redirect], audience: 'mcp-gateway', sink, adopt })

/** By hand: one mapper is taken away, one changed, and one replaced by another type of the same name. */
async function spoilMappers(realm: Realm): Promise<void> {
  const mappers = async (client_id: string) => {
    const { id, protocolMappers = [] } = await clientOf(realm, client_id)
    const named = (name: string) => protocolMappers.find((one) => one.name === name) as Mapper
    return { path: `/clients/${id}/protocol-mappers/models`, groups: named('groups'), audience: named('gateway-audience') }
  }
  const [ide, web] = [await mappers('ide'), await mappers('web')]
  const other = { name: 'groups', protocol: 'openid-connect', protocolMapper: 'oidc-hardcoded-claim-mapper', config: {} }
  const changed = { ...ide.audience, config: { ...ide.audience.config, 'included.custom.audience': 'somebody-else' } }
  const answers = [
    await realm.admin('DELETE', `${ide.path}/${ide.groups.id}`),
    await realm.admin('PUT', `${ide.path}/${ide.audience.id}`, changed),
    await realm.admin('DELETE', `${web.path}/${web.groups.id}`),
    await realm.admin('POST', web.path, other),
  ]
  expect(answers.map(({ status }) => status)).toEqual([204, 204, 204, 201])
}

async function adoption(realm: Realm, url: string): Promise<void> {
  const sinks = newSinks()
  const clients = [
    { clientId: 'ide', publicClient: true },
    { clientId: 'web', standardFlowEnabled: true },
    { clientId: 'machine', standardFlowEnabled: false, serviceAccountsEnabled: true },
  ]
  for (const client of clients) expect((await realm.admin('POST', '/clients', client)).status).toBe(201)
  const { run, close } = await connectTenant(realm, { variables: { KEYCLOAK_URL: url } })
  try {
    // The realm first: until it is ours people have no place for a mark, and then one who is named counts as ours.
    await expectDone(run([realmOf(realm, 300, true)]), 'adopt', [`tenant ${realm.realm}`])
    const there = objects('keycloak', sinks, FIRST, true).filter(({ key }) => key !== 'team/inner')
    const wanted = [...there, webClient(sinks.web, true)]
    const adopted = [...OBJECTS.filter((one) => one !== 'group team/inner'), 'web-client web']
    const saved = ['machine-client machine', 'web-client web'].map((one) => `save_secret ${one}`)
    await expectDone(run(wanted), 'adopt', adopted, saved)
  } finally {
    await close()
  }
}

/** At an embedded provider that knows itself by the address it is to be asked at. */
export async function everythingAtEmbedded({ issuer, initialAccessToken, adminToken }: RunningProvider): Promise<void> {
  const sinks = newSinks()
  const variables = {
    EMBEDDED_ISSUER: issuer,
    EMBEDDED_INITIAL_ACCESS_TOKEN: initialAccessToken.reveal(),
    EMBEDDED_ADMIN_TOKEN: adminToken.reveal(),
  }
  const home = await makeFolder()
  const { tenant, latch, close } = await connect(embedded, { variables, profile: 'default', home: home.path, promise: 'evidence' })
  const at = { reconcilers: tenant.reconcilers, latch }
  try {
    await expectDone(run(at, objects('embedded', sinks, FIRST)), 'create', OBJECTS)
    await look(tenant, OBJECTS)
    const machine = (await reconcilerOf(at, 'machine-client').observe(['machine'])).get('machine')
    await mint(tenant, machine?.id ?? '', sinks.machine)

    // The groups of a machine are in the registry's record, and nothing else of it can change here.
    const changing = OBJECTS.filter((one) => !one.startsWith('machine-client'))
    await expectDone(run(at, objects('embedded', sinks, SECOND)), 'update', changing)
    const rotated = { kind: 'machine-client', key: 'machine', ensure: 'rotated', sink: sinks.machine } as const
    await expectDone(run(at, [rotated]), 'rotate_secret', ['machine-client machine'])
    // These two are there from the start, and nobody's.
    const seeded: Wanted[] = [
      { kind: 'group', key: 'demo-readers', ensure: 'present', spec: { name: 'demo-readers', description: 'ours' }, adopt: true },
      recipes.person({ username: 'ada', sink: newSinks().person, adopt: true }),
    ]
    await expectDone(run(at, seeded), 'adopt', ['group demo-readers', 'user ada'])
    await expectDone(run(at, REMOVALS), 'remove', OBJECTS)
  } finally {
    await close()
    await home.remove()
  }
}
