/** Keycloak as the contract suite wants it: one realm for all promises, each with a profile of its own; a plain hand and eye. */
import type { Resources } from '../../core/resources.js'
import { OWNER_MARK } from '../../core/vocabulary.js'
import { keycloak as adapter } from '../../idp/keycloak/adapter.js'
import { keycloakCapabilities } from '../../idp/keycloak/capabilities.js'
import type { FaultyFront } from '../contract/front.js'
import { acceptsClient, authorization, connect, namesAndSinks, settled } from '../contract/served.js'
import type { ContractKind, TenantUnderTest } from '../contract/tenant.js'
import { administrator } from './product.js'
import { keycloak, type Realm } from './rig/keycloak.js'
import { serviceAccount } from './tenant.js'

type Row = Record<string, unknown> & { readonly id: string }

export async function keycloakUnderTest(realm: Realm, front: FaultyFront, promise: string): Promise<TenantUnderTest> {
  const { salt, name, sink } = namesAndSinks()
  const profile = `p-${salt}`
  const variables = administrator(realm, '', front.url)
  const { tenant, latch, close } = await connect(adapter, { variables, profile, home: '', promise })

  const call = async <Body>(method: string, path: string, body?: unknown) => {
    const answer = await realm.admin<Body>(method, path, body)
    if (answer.status >= 300 && !(method === 'GET' && answer.status === 404)) {
      throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
    }
    return answer
  }
  const rows = async (path: string): Promise<readonly Row[]> => {
    const { status, body } = await call<Row[]>('GET', path)
    return status === 404 ? [] : [body].flat()
  }
  const segments = (path: string) => path.split('/').map(encodeURIComponent).join('/')
  const find = (kind: ContractKind, key: string) =>
    rows(
      kind === 'group'
        ? `/group-by-path/${segments(key)}`
        : kind === 'user'
          ? `/users?username=${encodeURIComponent(key)}&exact=true`
          : `/clients?clientId=${encodeURIComponent(key)}`,
    )
  const only = async (kind: ContractKind, key: string): Promise<Row> => {
    const [found] = await find(kind, key)
    if (!found) throw new Error(`no ${kind} ${key}`)
    return found
  }
  const groupsOf = (userId: string) => rows(`/users/${userId}/groups?max=500`)
  const userIdOf = async (kind: ContractKind, { id }: Row) =>
    kind === 'user' ? id : (await call<Row>('GET', `/clients/${id}/service-account-user`)).body.id

  async function join(userId: string, paths: readonly string[]): Promise<void> {
    for (const { id } of await groupsOf(userId)) await call('DELETE', `/users/${userId}/groups/${id}`)
    for (const path of paths) await call('PUT', `/users/${userId}/groups/${(await only('group', path)).id}`)
  }

  async function plant(kind: ContractKind, spec: Resources[ContractKind], mark?: string): Promise<void> {
    const body = representation(kind, spec, mark)
    if (kind === 'user') return void (await call('POST', '/users', body))
    if (kind !== 'group') return void (await call('POST', '/clients', body))
    const path = 'name' in spec ? spec.name : ''
    const parent = path.includes('/') ? await only('group', path.slice(0, path.lastIndexOf('/'))) : undefined
    await call('POST', parent ? `/groups/${parent.id}/children` : '/groups', body)
  }

  return {
    capabilities: keycloakCapabilities,
    reconcilers: tenant.reconcilers,
    latch,
    profile,
    page: 200,
    name,
    sink,
    plant,
    async plantMany(kind, names) {
      const field = kind === 'group' ? 'groups' : kind === 'user' ? 'users' : 'clients'
      // An import of groups without paths ends with 500.
      const bodies = names.map((one) => ({
        ...representation(kind, bare(kind, one), profile),
        ...(kind === 'group' ? { path: `/${one}` } : {}),
      }))
      await call('POST', '/partialImport', { ifResourceExists: 'FAIL', [field]: bodies })
    },
    async meddle(kind, key, fields) {
      const row = await only(kind, key)
      const { groups, redirect_uris, email, description } = fields as Partial<Record<string, readonly string[] & string>>
      if (groups) await join(await userIdOf(kind, row), groups)
      if (redirect_uris) await call('PUT', `/clients/${row.id}`, { redirectUris: redirect_uris, webOrigins: row['webOrigins'] })
      if (email) await call('PUT', `/users/${row.id}`, { ...row, email })
      if (description) await call('PUT', `/groups/${row.id}`, { ...row, description })
    },
    async decorate(kind, key) {
      const { id, ...row } = await only(kind, key)
      const attributes = { ...(row['attributes'] as object), 'somebody.else': kind.endsWith('-client') ? 'kept' : ['kept'] }
      const collection = kind === 'group' || kind === 'user' ? `${kind}s` : 'clients'
      await call('PUT', `/${collection}/${id}`, { ...row, attributes })
    },
    async look(kind, key) {
      const found = await find(kind, key)
      return Promise.all(
        found.map(async (row) => {
          const isMember = kind === 'user' || kind === 'machine-client'
          const groups = isMember ? (await groupsOf(await userIdOf(kind, row))).map(({ path }) => path) : []
          const { subGroups: _inside, subGroupCount: _count, access: _access, ...kept } = row
          return settled({ ...kept, groups })
        }),
      )
    },
    writes: front.writes,
    fault: front.fault,
    credentials: () => [keycloak().adminPassword, ...front.credentials()].filter((one) => one.length >= 8),
    accepts: (client_id, secret) => acceptsClient(`${realm.issuer}/protocol/openid-connect/token`, client_id, secret),
    async authorizes(request) {
      const response = await authorization(`${realm.issuer}/protocol/openid-connect/auth`, request)
      return response.status === 200 && /name="password"/.test(await response.text())
    },
    rights: tenant.rights,
    async limitedTo(rights) {
      const roles = [...new Set(rights.flatMap((right): readonly string[] => keycloakCapabilities.rights[right]))]
      const account = await serviceAccount(realm, name('looker'), roles)
      const limited = await connect(adapter, { variables: { ...variables, ...account }, profile, home: '', promise, latch })
      return { rights: limited.tenant.rights, reconcilers: limited.tenant.reconcilers, close: limited.close }
    },
    close,
  }
}

const bare = (kind: ContractKind, name: string) =>
  (kind === 'group'
    ? { name }
    : kind === 'user'
      ? { username: name }
      : {
          client_id: name,
          client_name: name,
          redirect_uris: [],
          grant_types: kind === 'machine-client' ? ['client_credentials'] : ['authorization_code'],
        }) as unknown as Resources[ContractKind]

/** As somebody would make it in the console, with the marks of a profile when one is named. */
function representation(kind: ContractKind, spec: Resources[ContractKind], mark?: string): object {
  const fields = spec as Partial<Resources['user'] & Resources['web-client'] & Resources['group']>
  if (kind === 'group') {
    const name = fields.name?.split('/').at(-1)
    return { name, description: fields.description, ...(mark === undefined ? {} : { attributes: { [OWNER_MARK]: [mark] } }) }
  }
  if (kind === 'user') {
    const { username, email, given_name: firstName, family_name: lastName } = fields
    const attributes = mark === undefined ? {} : { attributes: { [OWNER_MARK]: [mark] } }
    return { username, email, firstName, lastName, enabled: true, ...attributes }
  }
  const isMachine = kind === 'machine-client'
  return {
    clientId: fields.client_id,
    name: fields.client_name,
    enabled: true,
    redirectUris: fields.redirect_uris,
    publicClient: kind === 'public-client',
    standardFlowEnabled: !isMachine,
    serviceAccountsEnabled: isMachine,
    ...(kind === 'public-client' ? {} : { secret: 'a secret that somebody chose' }),
    attributes: mark === undefined ? {} : { [OWNER_MARK]: mark, [`${OWNER_MARK}.kind`]: kind },
  }
}
