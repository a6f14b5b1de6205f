/** Whether the realm has a place for our mark on people, and making one: Keycloak drops attributes that its user profile does not name. */
import { isToolkitError } from '../../core/errors.js'
import { OWNER_MARK } from '../../core/vocabulary.js'
import type { Realm } from './connect.js'
import { asking } from './vendor-error.js'

export interface PeopleMark {
  /** Asked once a run; false also where the profile may not be seen. */
  hasPlace(): Promise<boolean>
  /** Names the attribute in the profile, for administrators alone; everything else of the profile stays. */
  makePlace(): Promise<void>
}

export function peopleMark({ api, realm }: Realm): PeopleMark {
  let place: Promise<boolean> | undefined

  async function readPlace(): Promise<boolean> {
    try {
      const { attributes = [], unmanagedAttributePolicy = 'DISABLED' } = await asking(
        { kind: 'user', key: 'profile', needs: 'users:read' },
        () => api.users.getProfile({ realm }),
      )
      const declared = attributes.find(({ name }) => name === OWNER_MARK)
      if (declared === undefined) return ['ENABLED', 'ADMIN_EDIT'].includes(unmanagedAttributePolicy)
      const { view = [], edit = [] } = declared.permissions ?? {}
      return [view, edit].every((who) => who.includes('admin'))
    } catch (error) {
      if (isToolkitError(error, 'forbidden')) return false
      throw error
    }
  }

  return {
    hasPlace() {
      place ??= readPlace()
      return place
    },
    async makePlace() {
      const ask = <T>(call: () => Promise<T>) => asking({ kind: 'tenant', key: realm, needs: 'tenant:write' }, call)
      const { attributes = [], ...rest } = await ask(() => api.users.getProfile({ realm }))
      place = undefined
      if (attributes.some(({ name }) => name === OWNER_MARK)) return
      const mark = { name: OWNER_MARK, displayName: 'Made by', permissions: { view: ['admin'], edit: ['admin'] }, multivalued: false }
      await ask(() => api.users.updateProfile({ realm, ...rest, attributes: [...attributes, mark] }))
    },
  }
}
