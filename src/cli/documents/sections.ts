/** Parts of a Markdown page that are made from code. They stand between two comments, so that a page can have both. */

/** `<!-- made by npm run docs: NAME -->`, the part, `<!-- end of NAME -->`. */
const MARKED = /<!-- made by npm run docs: ([\w-]+) -->\n[\s\S]*?<!-- end of \1 -->/g;

/** The page with its marked parts made anew. @throws Error where page and parts do not name the same, each once */
export function withSections(page: string, parts: Readonly<Record<string, string>>): string {
  const marked = [...page.matchAll(MARKED)].map(([, name = '']) => name);
  const names = Object.keys(parts);
  if ([...marked].sort().join() !== [...names].sort().join())
    throw new Error(`the page marks ${marked.join(', ')}; there are ${names.join(', ')}`);
  return page.replace(MARKED, (_all, name: string) => section(name, parts[name] ?? ''));
}

function section(name: string, body: string): string {
  return `<!-- made by npm run docs: ${name} -->\n\n${body}\n\n<!-- end of ${name} -->`;
}

export function markdownTable(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(titles), line(titles.map(() => '---')), ...rows.map(line)].join('\n');
}
