/**
 * The groups of a realm as one flat list, each with a path that no other group has. The server's own paths do not tell a
 * group named `a/b` from group `b` inside `a`, so paths are made here, from the names on the way down.
 */
import type GroupRepresentation from '@keycloak/keycloak-admin-client/lib/defs/groupRepresentation.js'
import { eachOf } from './bulk-reads.js'

/** A group with its place in the tree; `path` has no leading slash: `engineering/platform`. */
export interface Group extends GroupRepresentation {
  readonly id: string
  readonly name: string
  readonly path: string
}

/** Every group, parents before children. `childrenOf` reads the groups inside one, or the top level. */
export async function groupTree(childrenOf: (parent?: Group) => Promise<readonly GroupRepresentation[]>): Promise<Group[]> {
  const all: Group[] = []
  let level = (await childrenOf()).map((group) => placed(group))
  while (level.length > 0) {
    all.push(...level)
    const parents = level.filter(({ subGroupCount = 0 }) => subGroupCount > 0)
    const inside = await eachOf(parents, async (parent) => (await childrenOf(parent)).map((group) => placed(group, parent)))
    level = inside.flat()
  }
  return all
}

/**
 * A name with a slash becomes `//`, the name without slashes, and the group's id: no path that a person writes holds two
 * slashes, since no name on the way is empty; the id makes it one of a kind, and it begins like no other group's path.
 */
function placed(group: GroupRepresentation, parent?: Group): Group {
  const { id = '', name = '' } = group
  const own = name.includes('/') ? `//${name.replaceAll('/', '|')}|${id}` : name
  return { ...group, id, name, path: parent === undefined ? own : `${parent.path}/${own}` }
}

/** False for a group that a path cannot name: it, or one that it is inside, has a slash in its name. Never ours to touch. */
export function isNamedByPath({ path }: Group): boolean {
  return !path.includes('//')
}

/** A path's last name, and the path of the group that it is inside; undefined at the top. */
export function splitPath(path: string): { readonly parent: string | undefined; readonly name: string } {
  const slash = path.lastIndexOf('/')
  return { parent: slash === -1 ? undefined : path.slice(0, slash), name: path.slice(slash + 1) }
}
