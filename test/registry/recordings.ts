/** Exchanges recorded with the real registry: one JSON object a line, tokens replaced by `<alias>`. */
import { readFileSync } from 'node:fs'
import { handbook } from '../handbook.js'

export interface Exchange {
  readonly seq: number
  readonly note: string
  readonly request: { method: string; url: string; headers: Record<string, string>; body: string | null }
  readonly response: { status: number; headers: [string, string][]; body: string }
}

/** @param name of the scenario, `s02_m2m` */
export function recording(name: string): Exchange[] {
  const text = readFileSync(handbook(`fixtures/registry/${name}.jsonl`), 'utf8')
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Exchange)
}
