/** Text that another system wrote, made safe for a terminal and for a model to read: one line, bounded, nothing invisible. */

/** Controls (C0, DEL, C1), zero-width and bidi marks, line separators, the byte order mark and the tag block. */
const UNSEEN =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu
const LONGEST = 512

/** The text without invisible characters, at most 512 characters, white space folded to single blanks. */
export function foreignText(text: string): string {
  const visible = text
    .replace(/[\t\r\n]+/g, ' ')
    .replace(UNSEEN, '')
    .replace(/ {2,}/g, ' ')
    .trim()
  const characters = [...visible]
  return characters.length <= LONGEST ? visible : `${characters.slice(0, LONGEST - 1).join('')}…`
}
