import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { operationsSections } from '../../../../src/cli/documents/operations.ts';
import { withSections } from '../../../../src/cli/documents/sections.ts';
import { endReasons } from '../../../../src/connection/connection-host.ts';
import { rejectReasons } from '../../../../src/data-plane-api/routing-table.ts';

const root = resolve(import.meta.dirname, '../../../..');
const page = readFileSync(join(root, 'docs/operations.md'), 'utf8');

const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => ({ path, text: readFileSync(join(root, 'src', path), 'utf8') }));

/** The text between a heading and the next one of its level. */
function chapter(title: string): string {
  const [, body = ''] = page.split(`\n## ${title}\n`);
  return body.split('\n## ')[0] ?? '';
}

const quoted = (text: string): string[] =>
  [...text.matchAll(/`([a-z][a-z-]+)`/g)].map(([, name = '']) => name);

describe('docs/operations.md', () => {
  it('has the tables that the code makes now (npm run docs writes them)', async () => {
    expect(page).toBe(withSections(page, await operationsSections()));
  });

  it('names every metric that is exposed', async () => {
    const { metrics = '' } = await operationsSections();
    const source = readFileSync(join(root, 'src/base/metrics/metrics.ts'), 'utf8');
    const names = [
      ...source.matchAll(/'breakwater_(\w+)'/g),
      ...source.matchAll(/(?:gauge|counter)\(\s*'(\w+)'/g),
    ].map(([, name = '']) => name);
    expect(names.length).toBeGreaterThan(15);
    expect(names.filter((name) => !new RegExp(`\`breakwater_${name}[{\`]`).test(metrics))).toEqual([]);
  });

  it('explains every reason for which a device is turned away, and no other', () => {
    const [, table = ''] = chapter('Metrics').split('| reason ');
    const rows = [...table.matchAll(/^\| (`.*?) +\|/gm)].flatMap(([, cell = '']) => quoted(cell));
    expect(rows.sort()).toEqual([...rejectReasons].sort());
  });

  it('and the code gives no other, which would not be counted', () => {
    const carrying = sources.filter(({ path }) => /^(connection|data-plane|http-proxy)\//.test(path));
    const given = carrying.flatMap(({ text }) =>
      [...text.matchAll(/\b(?:refuse|rejected|countRejected)\(\s*'([\w-]+)'/g)].map(
        ([, reason = '']) => reason,
      ),
    );
    expect(given.length).toBeGreaterThan(5);
    expect(given.filter((reason) => !(rejectReasons as readonly string[]).includes(reason))).toEqual([]);
  });

  it('names every reason for which a served device ends', () => {
    const [, list = ''] = chapter('Log').split('`reason` of _device ended_:');
    const named = quoted(list);
    const ofServed = endReasons.filter((reason) => !['connect-timeout', 'tls-failed'].includes(reason));
    expect(ofServed.filter((reason) => !named.includes(reason))).toEqual([]);
  });
});

/** `log.info({ … }, 'message')`: what each call may say, and at which level. A message that is no text is left out. */
function logged(source: string): { level: string; message: string }[] {
  return [...source.matchAll(/\blog\.(error|warn|info|debug)\(/g)].flatMap((call) => {
    const [, level = ''] = call;
    const last = lastArgument(source, call.index + call[0].length);
    return [...last.matchAll(/'((?:[^'\\]|\\.)+)'/g)].map(([, message = '']) => ({ level, message }));
  });
}

/** From behind the parenthesis that opens a call. */
function lastArgument(source: string, from: number): string {
  let depth = 0;
  let start = from;
  for (let at = from; at < source.length; at++) {
    const char = source[at] ?? '';
    if ('([{'.includes(char)) depth++;
    else if (')]}'.includes(char) && depth-- === 0) return source.slice(start, at);
    else if (char === ',' && depth === 0 && source.slice(at + 1, at + 30).trim() !== ')') start = at + 1;
    else if (char === "'") at = source.indexOf("'", at + 1);
  }
  return '';
}

describe('the log of docs/operations.md', () => {
  const lines = sources.flatMap(({ text }) => logged(text));
  const rows = [...chapter('Log').matchAll(/^\| (.+?) +\| ([a-z, ;]+?) +\| .*\|$/gm)]
    .map(([, message = '', levels = '']) => ({ messages: [message, ...message.split('; ')], levels }))
    .filter(({ messages }) => messages[0] !== '`msg`');

  it('has something to check', () => {
    expect(lines.length).toBeGreaterThan(40);
    expect(rows.length).toBeGreaterThan(40);
  });

  it('names every message, at its level', () => {
    const missing = lines.filter(
      ({ level, message }) =>
        !rows.some(({ messages, levels }) => messages.includes(message) && levels.includes(level)),
    );
    expect(missing).toEqual([]);
  });

  it('names no message that nobody writes', () => {
    const all = sources.map(({ text }) => text).join('\n');
    /** Parts of these are put in as the line is written. */
    const composed = [
      'node healthy',
      'node unhealthy',
      'command … failed',
      'engine … failed',
      'a connection failed',
      'a thread failed',
    ];
    const isWritten = (message: string): boolean =>
      composed.includes(message) || all.includes(`'${message}'`);
    const unknown = rows
      .flatMap(({ messages: [message = '', ...parts] }) => (isWritten(message) ? [] : parts))
      .filter((message) => !isWritten(message));
    expect(unknown).toEqual([]);
  });
});
