/** The JSON Schema for editors: made from our own schemas, fresh, and of one mind with them about what people write. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { AUTH_PROVIDERS } from '../../core/vocabulary.js'
import { schemaOf } from '../../credentials-provider/identity-schema.js'
import { SCHEMA, schemaText } from '../docs/generate.js'
import { DOCUMENTED, EXAMPLES } from './identity-examples.js'

const saved = readFileSync(SCHEMA, 'utf8')
const editor = z.fromJSONSchema(JSON.parse(saved) as Parameters<typeof z.fromJSONSchema>[0])

describe('the JSON Schema of identities files', () => {
  test('is what the code says; if this fails, run: npm run docs', () => {
    expect(saved).toBe(schemaText())
  })
  test.for(AUTH_PROVIDERS)('takes the entries of %s that our own schema takes', (provider) => {
    for (const example of EXAMPLES[provider]) {
      expect(schemaOf(provider).safeParse(example).success).toBe(true)
      expect(editor.safeParse(example).success).toBe(true)
    }
    expect(editor.safeParse(EXAMPLES[provider]).success).toBe(true)
  })
  test.for(Object.entries(DOCUMENTED))('takes the documents’ own %s', ([, content]) => {
    expect(editor.safeParse(content).success).toBe(true)
  })
  test.for(AUTH_PROVIDERS)('takes no entry of %s without its client id or with a number for it', (provider) => {
    for (const { client_id: _, ...rest } of EXAMPLES[provider]) {
      expect(editor.safeParse(rest).success).toBe(false)
      expect(editor.safeParse({ ...rest, client_id: 7 }).success).toBe(false)
    }
  })
  test('describes every field, so that an editor can', () => {
    const { $defs } = JSON.parse(saved) as {
      $defs: { identity: { anyOf: { title: string; properties: Record<string, { description?: string }> }[] } }
    }
    const silent = $defs.identity.anyOf.flatMap(({ title, properties }) =>
      Object.entries(properties).flatMap(([name, { description }]) => (description ? [] : [`${title}: ${name}`])),
    )
    expect($defs.identity.anyOf).toHaveLength(AUTH_PROVIDERS.length)
    expect(silent).toEqual([])
  })
})
