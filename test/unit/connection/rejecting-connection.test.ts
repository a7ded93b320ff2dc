import { expect, test } from 'vitest';
import { RejectingConnection } from '../../../src/connection/rejecting-connection.ts';
import type { Wire } from '../../../src/connection/wire.ts';
import { packet } from './scene.ts';

function refused() {
  const did: string[] = [];
  const wire: Pick<Wire, 'setTimer' | 'toDevice' | 'endDevice'> = {
    setTimer: (ms) => void did.push(`timer ${ms}`),
    toDevice: (bytes, start, end) =>
      void did.push(`gets ${Buffer.from(bytes.subarray(start, end)).toString('hex')}`),
    endDevice: (how) => void did.push(`end ${how}`),
  };
  const device = new RejectingConnection(wire as Wire, 'quota-exceeded');
  expect(did.splice(0)).toEqual(['timer 2000']);
  return { device, did };
}

test.each([
  ['CONNECT', '20020003'],
  ['CONNECT5', '2003009700'],
] as const)('is told why once its %s is whole, byte by byte, and closed', (name, reply) => {
  const { device, did } = refused();
  const bytes = packet[name];
  for (let at = 0; at < bytes.length; at++) {
    expect(did).toEqual([]);
    device.deviceData(bytes, at, at + 1);
  }
  expect(did).toEqual([`gets ${reply}`, 'end flush', 'timer 2000']);
  device.deviceData(bytes, 0, bytes.length);
  expect(did).toHaveLength(3);
});

test('what is no CONNECT, or larger than one need be, ends it', () => {
  const other = refused();
  other.device.deviceData(Buffer.from('GET / HTTP/1.1'), 0, 14);
  expect(other.did).toEqual(['end reset']);
  const large = refused();
  large.device.deviceData(Buffer.of(0x10, 0xff, 0xff, 0x7f, 0, 4, 0x4d, 0x51, 0x54, 0x54, 5), 0, 11);
  expect(large.did).toEqual(['end reset']);
});

test('so do silence and its own end', () => {
  const silent = refused();
  silent.device.timer();
  const gone = refused();
  gone.device.deviceEnded();
  expect([silent.did, gone.did]).toEqual([['end reset'], ['end reset']]);
});
