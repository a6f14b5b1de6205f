/** Which groups only a person at a terminal may grant. */
import { describe, expect, test } from 'vitest'
import { isToolkitError } from '../../core/errors.js'
import { grantsPrivilege, refuseUnaskedPrivilege } from '../../core/privileged-groups.js'

/** The second is nested: a token carries the last segment of its path, which is the administrators' name. */
const PRIVILEGED = ['registry-admins', 'team/registry-admins', 'a/b/registry-admins']
const PLAIN = ['readers', 'registry-admins/readers', 'registry-admins2', 'Registry-Admins']

describe('a group that confers administration', () => {
  test.for(PRIVILEGED)('%s is for a person to grant, and only with the flag', (group) => {
    expect(grantsPrivilege({ groups: ['readers', group], allow_privileged: false })).toBe(true)
    try {
      refuseUnaskedPrivilege({ groups: ['readers', group], allow_privileged: false })
      expect.unreachable()
    } catch (error) {
      expect(isToolkitError(error, 'invalid_input') && error.details.problems).toEqual([
        { path: 'groups[1]', expected: 'a group that confers administration needs --allow-privileged', found: group },
      ])
    }
    expect(() => refuseUnaskedPrivilege({ groups: [group], allow_privileged: true })).not.toThrow()
  })
  test.for(PLAIN)('%s is not one', (group) => {
    expect(grantsPrivilege({ groups: [group], allow_privileged: false })).toBe(false)
    expect(() => refuseUnaskedPrivilege({ groups: [group], allow_privileged: false })).not.toThrow()
  })
})
