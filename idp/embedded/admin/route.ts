/** What a route of the admin API is handed and gives back; the transport (token, body, paging) is in `../admin.ts`. */
import { z } from 'zod'
import type { PageWish } from '../groups.js'

/** One request, as far as a route may see it. */
export interface Call {
  /** The decoded name in the path; empty for a collection. */
  readonly key: string
  readonly page: PageWish
  /** The parsed body, undefined when it is no JSON; not yet checked. */
  readonly body: unknown
}
export interface Reply {
  readonly status: number
  readonly body?: Readonly<Record<string, unknown>>
}
/** The methods of one path. */
export type Route = { readonly [method in 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE']?: (call: Call) => Promise<Reply> }

/** The profile that an ownership mark names. */
export const mark = z.string().regex(/^[\w.:-]{1,64}$/)

export function refused(status: number, error: string): Reply {
  return { status, body: { error } }
}

/** Runs `work` with the body as the shape reads it; 422 when it does not fit. */
export async function withBody<S extends z.ZodType>(shape: S, body: unknown, work: (given: z.output<S>) => Promise<Reply>): Promise<Reply> {
  const parsed = shape.safeParse(body)
  return parsed.success ? work(parsed.data) : refused(422, 'invalid_request')
}

/** A page of what was listed with one more than asked for; `next` is what `after` must be for the page that follows. */
export function paged<T>(
  name: string,
  found: readonly T[],
  { limit }: PageWish,
  keyOf: (one: T) => string,
  onWire: (one: T) => object,
): Reply {
  const shown = found.slice(0, limit)
  const last = shown.at(-1)
  const next = found.length > limit && last !== undefined ? { next: keyOf(last) } : {}
  return { status: 200, body: { [name]: shown.map(onWire), ...next } }
}
