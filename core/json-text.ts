/** JSON that may be none: files and answers are looked at by a schema, which refuses what cannot even be read. */

/** The value of a text; undefined when it is not JSON, whose own error would quote the text. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
