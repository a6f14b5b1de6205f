/**
 * Fields of a request, checked as the documented API checks them: every wrong field becomes one row of a 422 answer, in
 * the words and with the leniency that were recorded. Only named, own properties are read, so `__proto__` means nothing.
 */
import { invalid, type Row } from './answers.js'

type Place = readonly (string | number)[]
/** Gives the value, or adds rows that say what is wrong with it. */
export type Field<T> = (input: unknown, loc: Place, rows: Row[]) => T | undefined
interface Slot<T, R extends boolean> {
  readonly field: Field<T>
  readonly required: R
}
type Shape = Readonly<Record<string, Slot<unknown, boolean>>>
type Value<S> = S extends Slot<infer T, boolean> ? T : never
type Fields<S extends Shape> = { readonly [K in keyof S as S[K]['required'] extends true ? K : never]: Value<S[K]> } & {
  readonly [K in keyof S as S[K]['required'] extends true ? never : K]?: Value<S[K]>
}

export const required = <T>(field: Field<T>): Slot<T, true> => ({ field, required: true })
export const optional = <T>(field: Field<T>): Slot<T, false> => ({ field, required: false })

export interface TextRule {
  readonly min?: number
  readonly max?: number
  /** What is wrong with the text, or undefined. */
  readonly check?: (text: string) => string | undefined
}

export function text({ min = 0, max, check }: TextRule = {}): Field<string> {
  return (input, loc, rows) => {
    const add = (type: string, msg: string, ctx?: Row['ctx']) => void rows.push({ type, loc, msg, input, ...(ctx ? { ctx } : {}) })
    if (typeof input !== 'string') return add('string_type', 'Input should be a valid string')
    const length = [...input].length
    if (length < min)
      return add('string_too_short', `String should have at least ${min} character${min === 1 ? '' : 's'}`, { min_length: min })
    if (max !== undefined && length > max)
      return add('string_too_long', `String should have at most ${max} characters`, { max_length: max })
    const wrong = check?.(input)
    if (wrong !== undefined) return add('value_error', `Value error, ${wrong}`, { error: {} })
    return input
  }
}

export function nullable<T>(field: Field<T>): Field<T | null> {
  return (input, loc, rows) => (input === null ? null : field(input, loc, rows))
}

export function listOf<T>(field: Field<T>): Field<T[]> {
  return (input, loc, rows) => {
    if (!Array.isArray(input)) return void rows.push({ type: 'list_type', loc, msg: 'Input should be a valid list', input })
    return input.flatMap((item, index) => field(item, [...loc, index], rows) ?? [])
  }
}

const YES = ['1', 'on', 't', 'true', 'y', 'yes']
const NO = ['0', 'off', 'f', 'false', 'n', 'no']

/** As lenient as the documented API: `"false"`, `0` and `"no"` are false. */
export function flag(): Field<boolean> {
  return (input, loc, rows) => {
    if (typeof input === 'boolean') return input
    const word = typeof input === 'string' || typeof input === 'number' ? String(input).toLowerCase() : undefined
    if (word === undefined) return void rows.push({ type: 'bool_type', loc, msg: 'Input should be a valid boolean', input })
    if (YES.includes(word)) return true
    if (NO.includes(word)) return false
    return void rows.push({ type: 'bool_parsing', loc, msg: 'Input should be a valid boolean, unable to interpret input', input })
  }
}

/** A whole number in a query, from `min` to `max`. */
export function whole(min: number, max = Number.MAX_SAFE_INTEGER): Field<number> {
  return (input, loc, rows) => {
    const add = (type: string, msg: string, ctx?: Row['ctx']) => void rows.push({ type, loc, msg, input, ...(ctx ? { ctx } : {}) })
    if (typeof input !== 'string' || !/^\s*[+-]?\d{1,15}\s*$/.test(input)) {
      return add('int_parsing', 'Input should be a valid integer, unable to parse string as an integer')
    }
    const value = Number(input)
    if (value < min) return add('greater_than_equal', `Input should be greater than or equal to ${min}`, { ge: min })
    if (value > max) return add('less_than_equal', `Input should be less than or equal to ${max}`, { le: max })
    return value
  }
}

export interface ReadOptions {
  /** First word of every place: `body` or `query`. */
  readonly from: 'body' | 'query'
  /** Refuse keys that the shape does not name. */
  readonly strict?: boolean
  /** Forms have no whole to echo for a missing field. */
  readonly isForm?: boolean
}

/** @throws HTTPException 422 with a row for each wrong field */
export function readFields<S extends Shape>(input: unknown, shape: S, { from, strict = false, isForm = false }: ReadOptions): Fields<S> {
  if (input === undefined || input === null) throw invalid([{ type: 'missing', loc: [from], msg: 'Field required', input: null }])
  if (typeof input !== 'object' || Array.isArray(input)) {
    const msg = 'Input should be a valid dictionary or object to extract fields from'
    throw invalid([{ type: 'model_attributes_type', loc: [from], msg, input }])
  }
  const rows: Row[] = []
  const found: Record<string, unknown> = Object.create(null)
  for (const [name, { field, required }] of Object.entries(shape)) {
    const loc = [from, name]
    const present = Object.hasOwn(input, name)
    if (present) found[name] = field((input as Record<string, unknown>)[name], loc, rows)
    else if (required) rows.push({ type: 'missing', loc, msg: 'Field required', input: isForm ? null : input })
  }
  const foreign = strict ? Object.keys(input).filter((name) => !Object.hasOwn(shape, name)) : []
  for (const name of foreign) {
    const value = (input as Record<string, unknown>)[name]
    rows.push({ type: 'extra_forbidden', loc: [from, name], msg: 'Extra inputs are not permitted', input: value })
  }
  if (rows.length > 0) throw invalid(rows)
  return found as Fields<S>
}
