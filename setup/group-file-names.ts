/**
 * How the groups of several files stand to each other: names that clash, and where each group is by the names of its
 * parents. Pure.
 */

export interface Named {
  readonly scope_name: string
  readonly parent?: string
  /** Where it is defined, in words. */
  readonly place: string
}

/** What is wrong with one field of a group. */
export interface NameProblem<G extends Named> {
  readonly group: G
  readonly field: 'scope_name' | 'parent'
  readonly expected: string
  readonly found: string
}

/** Longest path that `groupPath` of the vocabulary takes. */
const LONGEST_PATH = 1024

/** Names that are taken already, also by one that a person or a provider may take for the same. */
export function nameClashes<G extends Named>(groups: readonly G[]): NameProblem<G>[] {
  const taken = new Map<string, G>()
  return groups.flatMap((group) => {
    const first = taken.get(folded(group.scope_name))
    if (first === undefined) {
      taken.set(folded(group.scope_name), group)
      return []
    }
    const twin = first.scope_name === group.scope_name ? '' : `, written ${first.scope_name}`
    const expected = `a name that no other group has, whatever its case; ${first.place} has it${twin}`
    return [{ group, field: 'scope_name', expected, found: group.scope_name }]
  })
}

/** Path of each group by its name; what has a problem has none. A parent that is not among the groups is a path of the provider's. */
export function nestedPaths<G extends Named>(groups: readonly G[]): { paths: ReadonlyMap<string, string>; problems: NameProblem<G>[] } {
  const byName = new Map(groups.toReversed().map((group) => [group.scope_name, group]))
  const paths = new Map<string, string>()
  const problems = parentTwins(groups, byName)
  /** Inside of itself or too deep, or below such a group: one problem is enough for all of them. */
  const lost = new Set<string>()

  for (const group of groups) {
    const chain = new Set<G>()
    let top: G | undefined = group
    while (top !== undefined && !chain.has(top) && !paths.has(top.scope_name) && !lost.has(top.scope_name)) {
      chain.add(top)
      top = top.parent === undefined ? undefined : byName.get(top.parent)
    }
    if (top !== undefined && chain.has(top)) problems.push(circleOf([...chain], top, groups))
    if (top !== undefined && !paths.has(top.scope_name)) {
      for (const one of chain) lost.add(one.scope_name)
      continue
    }
    for (const one of [...chain].reverse()) {
      const above = one.parent === undefined ? undefined : (paths.get(one.parent) ?? one.parent)
      const path = above === undefined ? one.scope_name : `${above}/${one.scope_name}`
      if (lost.has(one.parent ?? '')) lost.add(one.scope_name)
      else if (path.length <= LONGEST_PATH) paths.set(one.scope_name, path)
      else {
        lost.add(one.scope_name)
        const expected = `a parent whose path leaves this one at most ${LONGEST_PATH} characters long`
        problems.push({ group: one, field: 'parent', expected, found: `${path.length}` })
      }
    }
  }
  return { paths, problems }
}

/** A parent that exists but for its case would become a second group beside it. */
function parentTwins<G extends Named>(groups: readonly G[], byName: ReadonlyMap<string, G>): NameProblem<G>[] {
  const byFolded = new Map(groups.toReversed().map((group) => [folded(group.scope_name), group]))
  return groups.flatMap((group) => {
    if (group.parent === undefined || byName.has(group.parent)) return []
    const twin = byFolded.get(folded(group.parent))
    if (twin === undefined) return []
    return [{ group, field: 'parent', expected: `${twin.scope_name}, as it is written at ${twin.place}`, found: group.parent }]
  })
}

/** The problem of a circle at its first member in the files, which are in the order of `groups`. */
function circleOf<G extends Named>(chain: readonly G[], top: G, groups: readonly G[]): NameProblem<G> {
  const circle = chain.slice(chain.indexOf(top))
  const start = groups.findIndex((group) => circle.includes(group))
  const first = groups[start] ?? top
  const turned = [...circle.slice(circle.indexOf(first)), ...circle.slice(0, circle.indexOf(first)), first]
  const names = turned.map(({ scope_name }) => scope_name)
  const shown = names.length > 8 ? [...names.slice(0, 6), '…', ...names.slice(-1)] : names
  return { group: first, field: 'parent', expected: 'a group that is not inside of this one', found: shown.join(' in ') }
}

/** Names that look alike to a person, or are the same to a provider that folds case, become equal. */
function folded(name: string): string {
  return name.normalize('NFC').toUpperCase().toLowerCase().normalize('NFC')
}
