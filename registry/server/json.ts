/** JSON that strangers send: its structure is looked at before it is parsed. */
import { MOST_DEPTH, structureFaults } from '../../core/json-structure.js'

/** Where and why a text is not acceptable JSON; `position` counts UTF-16 units from 0. */
export class JsonProblem extends Error {
  constructor(
    readonly position: number,
    readonly reason: string,
  ) {
    super(reason)
  }
}

/** @throws JsonProblem */
export function parseJson(text: string): unknown {
  const [fault] = structureFaults(text)
  if (fault) throw new JsonProblem(fault.position, fault.fault === 'too_deep' ? `nested deeper than ${MOST_DEPTH}` : 'a key is there twice')
  try {
    return JSON.parse(text)
  } catch (error) {
    const message = error instanceof Error ? error.message : ''
    const position = /position (\d+)/.exec(message)?.[1]
    const reason = /property name/.test(message) ? 'Expecting property name enclosed in double quotes' : 'Expecting value'
    throw new JsonProblem(position === undefined ? text.length : Number(position), reason)
  }
}
