/** What is made in every run: N machine clients with a service account each, 20 groups, two memberships a machine, one IDE client. */
import { join } from 'node:path'
import type { Tenant } from '../idp/index.js'
import { IDPS, recipes, secretFile, type Target, type Wanted } from '../toolkit/index.js'

export const GROUPS: readonly string[] = Array.from({ length: 20 }, (_, index) => `team-${index}`)
const MEMBERSHIPS = 2

export const machineName = (index: number) => `machine-${index}`

/** Neighbouring groups, so that every group has as many members as the next. */
export function groupsOf(index: number): string[] {
  return Array.from({ length: MEMBERSHIPS }, (_, more) => `team-${(index + more) % GROUPS.length}`)
}

/** Writes of a first apply: one create an object, one PUT a membership. */
export function writesFor(machines: number): number {
  return GROUPS.length + 1 + machines * (1 + MEMBERSHIPS)
}

/** The target, as a program that uses the library states it; secrets go to files below `home`. */
export function targetFor({ reconcilers, lock, identityFacts }: Tenant, machines: number, home: string): Target {
  const { capabilities } = IDPS.keycloak
  const redirect_uris = ['http://localhost/callback', 'http://127.0.0.1/callback']
  const wanted: Wanted[] = [
    ...recipes.namedGroups(GROUPS, true),
    recipes.ideClient(capabilities, { client_id: recipes.IDE_CLIENT_ID, client_name: recipes.IDE_CLIENT_NAME, redirect_uris }),
    ...Array.from({ length: machines }, (_, index) => {
      const client_name = machineName(index)
      const sink = secretFile(join(home, 'identities', `agent-${client_name}.json`), identityFacts(client_name))
      return recipes.machineClient(capabilities, { client_name, groups: groupsOf(index), sink })
    }),
  ]
  return { wanted, reconcilers, tenants: [lock] }
}
