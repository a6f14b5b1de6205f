/** Groups that make their members administrators of the registry, and the care they need. */
import { Problems } from './errors.js'

/** By the registry's own seed. A registry may have more; it refuses those itself. */
const ADMIN_GROUPS: readonly string[] = ['registry-admins']

/** Tokens carry the last segment of a nested group's path, so a child of that name confers the same. */
function isPrivileged(group: string): boolean {
  return ADMIN_GROUPS.includes(group.slice(group.lastIndexOf('/') + 1))
}

/** Input of an operation that grants groups. */
interface Granting {
  readonly groups?: readonly string[] | undefined
  readonly allow_privileged: boolean
}

/** True when only a person at a terminal may decide. */
export function grantsPrivilege({ groups = [], allow_privileged }: Granting): boolean {
  return allow_privileged || groups.some(isPrivileged)
}

/** @throws ToolkitError invalid_input naming each group that confers administration, unless that is allowed */
export function refuseUnaskedPrivilege({ groups = [], allow_privileged }: Granting): void {
  if (allow_privileged) return
  const problems = new Problems()
  for (const [index, group] of groups.entries()) {
    if (isPrivileged(group)) problems.add(`groups[${index}]`, 'a group that confers administration needs --allow-privileged', group)
  }
  problems.throwIfAny('the input')
}
