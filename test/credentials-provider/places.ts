/** Whether the place that an error names is one of the file: `identities.json:3:5`, with a field's name behind it or without. */

export function isPlaceIn(path: string, text: string): boolean {
  const [, line = '', column = ''] = /:(\d+):(\d+)(?: .*)?$/.exec(path) ?? []
  const found = text.replace(/^\ufeff/, '').split('\n')[Number(line) - 1]
  return found !== undefined && Number(column) >= 1 && Number(column) <= found.length + 1
}
