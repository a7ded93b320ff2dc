import { expect, test } from 'vitest';
import { packetLine, type ShownPacket } from '../../../../src/cli/commands/client-trace.ts';

const packet: ShownPacket = {
  at: '2026-01-01T03:12:07.123Z',
  direction: 'from-device',
  type: 'publish',
  size: 45,
};
const base64 = (bytes: Uint8Array | string) => Buffer.from(bytes as string).toString('base64');

test('a packet is one line', () => {
  const details = { id: 7, qos: 1, dup: true, retain: false, topic: 'meters/17', payloadSize: 20 };
  expect(packetLine({ ...packet, ...details })).toBe(
    '03:12:07.123  from device  publish          45 B  id 7  qos 1  dup  meters/17  payload 20 B',
  );
  expect(packetLine({ ...packet, direction: 'to-device', type: 'connack', size: 4, code: 135 })).toBe(
    '03:12:07.123  to device    connack           4 B  code 0x87',
  );
  expect(packetLine({ ...packet, topic: '' })).toContain('  (alias)');
  expect(packetLine({ ...packet, filters: ['a/#', 'b'] })).toContain('  a/#  b');
});

test('what a device says steers no terminal, and begins no line of its own', () => {
  const line = packetLine({ ...packet, topic: 'a\nb\u001b[2J', filters: ['\u202e'] });
  expect(line).toContain('  a\\u000ab\\u001b[2J  \\u202e');
});

test.each([
  [base64('warm'), 4, '"warm"'],
  [base64('wa\nrm'), 5, '"wa\\nrm"'],
  [base64('warm'), 400, '"warm"…'],
  [base64(Uint8Array.of(0xff, 0x00)), 2, 'ff00'],
  [base64(Buffer.from('temp °').subarray(0, 6)), 7, '"temp "…'],
])('the payload %s of %i bytes is shown as %s', (payload, payloadSize, text) => {
  expect(packetLine({ ...packet, payload, payloadSize }).endsWith(`  ${text}`)).toBe(true);
});
