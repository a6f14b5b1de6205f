/** Client of the embedded provider's admin API: lists read page by page, and its refusals as our errors. */
import { z } from 'zod'
import { ToolkitError } from '../../core/errors.js'
import type { Answer, Door } from '../../core/http.js'
import type { SecretJson } from '../../core/http-body.js'
import type { Observed } from '../../core/plan.js'
import type { HeldRights } from '../../core/rights.js'
import type { Secret } from '../../core/secret.js'

export interface AdminOptions {
  readonly issuer: string
  readonly door: Door
  readonly adminToken: Secret
}

export interface AdminClient {
  /** Everything in a collection. */
  list<T>(collection: 'groups' | 'users', shape: z.ZodType<T>): Promise<T[]>
  /** A write to a path below `/admin/`, whose parts are encoded here. */
  send(method: string, path: readonly string[], json?: SecretJson): Promise<Answer>
  /** The error for an answer that nobody expected. */
  failure(answer: Answer): ToolkitError
  rights(): Promise<HeldRights>
}

/** A directory for evaluation does not have more; a server that always says "next" must come to an end. */
const MOST_PAGES = 1000

export function adminClient({ issuer, door, adminToken }: AdminOptions): AdminClient {
  const urlOf = (path: readonly string[]) => `${issuer}/admin/${path.map(encodeURIComponent).join('/')}`
  const read = (collection: string, query: Record<string, string>) =>
    door.send({ method: 'GET', url: `${urlOf([collection])}?${new URLSearchParams(query)}`, bearer: adminToken })
  const failure = ({ status }: Answer) => failureOf(status, issuer)

  return {
    failure,
    async list(collection, shape) {
      const listing = z.object({ [collection]: z.array(shape).max(1000), next: z.string().min(1).max(1024).optional() })
      const all: z.output<typeof shape>[] = []
      let query = {}
      for (let pages = 0; pages < MOST_PAGES; pages++) {
        const answer = await read(collection, query)
        const page = answer.status === 200 ? listing.safeParse(answer.json) : undefined
        if (!page?.success) throw failure(answer)
        all.push(...(page.data[collection] as z.output<typeof shape>[]))
        const { next } = page.data
        if (next === undefined) return all
        query = { after: next }
      }
      const details = { system: issuer, reason: 'endless_list' }
      throw new ToolkitError('unexpected_response', `the list of ${collection} of ${issuer} does not end`, details)
    },
    send: (method, path, json) => door.send({ method, url: urlOf(path), bearer: adminToken, ...(json === undefined ? {} : { json }) }),
    async rights() {
      const answer = await read('groups', { limit: '1' })
      if (answer.status !== 200 && answer.status !== 401) throw failure(answer)
      const all = answer.status === 200 ? 'yes' : 'no'
      return {
        ...{ 'clients:read': all, 'clients:write': all, 'groups:read': all, 'groups:write': all, 'users:read': all, 'users:write': all },
        ...{ 'tenant:read': 'no', 'tenant:write': 'no', 'tenant:create': 'no', 'tokens:evaluate': 'no' },
      }
    },
  }
}

/** Whose an object is, by its mark. */
export function ownerOf(mark: string | undefined, profile: string): Observed['owner'] {
  if (mark === undefined) return 'nobody'
  return mark === profile ? 'us' : { other: `profile ${mark}` }
}

function failureOf(status: number, issuer: string): ToolkitError {
  const message = `the admin API of ${issuer} answered ${status}`
  if (status === 401) return new ToolkitError('unauthenticated', message, { system: issuer, status }, 'check EMBEDDED_ADMIN_TOKEN')
  if (status >= 500) return new ToolkitError('unavailable', message, { system: issuer, reason: 'server_error', status }, 'run again')
  return new ToolkitError('unexpected_response', message, { system: issuer, reason: 'admin_api', status }, 'check EMBEDDED_ISSUER')
}
