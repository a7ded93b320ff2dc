import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createLog, formatPretty, type LogFormat, type LogLevel, redactUrl } from '../../../src/base/log.ts';

function capture(format: LogFormat, level: LogLevel = 'info') {
  const lines: string[] = [];
  const log = createLog({ level, format, colour: false, sink: { write: (line) => void lines.push(line) } });
  return { log, lines };
}

test('json: one object a line with time, level word, fields and message', () => {
  const { log, lines } = capture('json');
  log.child({ proxy: 'edge-1' }).info({ clientId: 'm-1' }, 'device placed');
  const { time, ...rest } = JSON.parse(lines[0] ?? '');
  expect(rest).toEqual({ level: 'info', proxy: 'edge-1', clientId: 'm-1', msg: 'device placed' });
  expect(new Date(time).toISOString()).toBe(time);
});

test('lines below the level are not written', () => {
  const { log, lines } = capture('json', 'warn');
  log.info('quiet');
  log.warn('loud');
  expect(lines).toHaveLength(1);
});

test('pretty: time, level, message, key=value, quoted where it must be', () => {
  const { log, lines } = capture('pretty');
  log.warn({ node: 'a', cause: 'dial refused', empty: '', bytes: 12 }, 'node is unhealthy');
  expect(lines[0]).toMatch(
    /^\d\d:\d\d:\d\d\.\d{3} WARN {2}node is unhealthy node=a cause="dial refused" empty="" bytes=12\n$/,
  );
});

test('pretty: an error is shown with its stack, indented', () => {
  const { log, lines } = capture('pretty');
  log.error({ err: new Error('boom') }, 'failed');
  expect(lines[0]).toMatch(/ERROR failed\n {4}Error: boom\n {8}at /);
});

test('pretty: no control character that a device chose reaches the terminal', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (clientId, msg) => {
      const text = formatPretty(JSON.stringify({ time: '', level: 'info', msg, clientId }), false);
      expect(text.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
    }),
  );
});

test.each([
  'json',
  'pretty',
] as const)('%s: what steers a terminal is escaped, and JSON stays the same', (format) => {
  const { log, lines } = capture(format);
  const clientId = 'a\u009b2Jb\u202ec\u061cd\u200ee\u2028f\u007f\u0001';
  log.info({ clientId }, 'device placed');
  expect(lines[0]?.slice(0, -1)).not.toMatch(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u);
  expect(lines[0]).toContain('\\u009b2Jb\\u202ec');
  if (format === 'json') expect(JSON.parse(lines[0] ?? '').clientId).toBe(clientId);
});

test.each(['json', 'pretty'] as const)('%s: fields are cut, those within fields and lists too', (format) => {
  const { log, lines } = capture(format);
  const hostile = '\u0001'.repeat(65_535);
  log.info(
    { clientId: hostile, connection: { username: hostile }, names: ['a', hostile] },
    'device rejected',
  );
  expect(lines[0]?.length).toBeLessThan(20_000);
  expect(lines[0]).toContain('(65535 characters)');
  log.info({ clientId: 'x'.repeat(1024), stack: 'y'.repeat(8192) }, 'as it is');
  expect(lines[1]).not.toContain('characters)');
});

test('pretty: colours on request only', () => {
  const line = JSON.stringify({ time: '', level: 'info', msg: 'x', a: 1 });
  expect(formatPretty(line, true)).toContain('\u001b[32mINFO');
  expect(formatPretty(line, false)).not.toContain('\u001b');
});

test.each([
  'json',
  'pretty',
] as const)('%s: tokens, passwords and credentials in URLs are never written', (format) => {
  const { log, lines } = capture(format);
  log.info(
    { token: 'S3CRET', admin: { token: 'S3CRET' }, request: { headers: { authorization: 'S3CRET' } } },
    'a',
  );
  log.info(
    { url: 'redis://user:S3CRET@host:6379', err: new Error('cannot reach redis://:S3@CRET@host') },
    'b',
  );
  log.info('connecting to mqtt://u:S3CRET@host:1883');
  const all = lines.join('');
  expect(all).not.toMatch(/S3CRET|CRET/);
  expect(all).toContain('redis://host:6379');
});

test.each([
  ['redis://user:pass@host:6379/0', 'redis://host:6379/0'],
  ['redis://:p@ss@host', 'redis://host'],
  ['redis://:p/ss@host:x', 'redis://host:x'],
  ['mqtt://host:1883', 'mqtt://host:1883'],
  ['http://host/a@b', 'http://host/a@b'],
  ['not a url', 'not a url'],
])('redactUrl(%s) is %s', (url, shown) => {
  expect(redactUrl(url)).toBe(shown);
});
