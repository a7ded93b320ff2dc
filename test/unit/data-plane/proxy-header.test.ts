import { describe, expect, it } from 'vitest';
import type { Peer, PeerTls, Target } from '../../../src/connection/wire.ts';
import { createProxyHeader, withHeader } from '../../../src/data-plane/proxy-header.ts';
import { decodeProxyHeader } from '../../../src/protocol/proxy-protocol/decode.ts';
import { allV2Fields } from '../../../src/protocol/proxy-protocol/encode.ts';
import { tlvType, toldTls } from '../../../src/protocol/proxy-protocol/tlv.ts';

const peer: Peer = {
  remoteAddress: '192.0.2.7',
  remotePort: 40_000,
  destination: { address: '198.51.100.1', port: 1883 },
};
const tls: PeerTls = {
  ...{ version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384', serverName: 'mqtt.example.com' },
  ...{ alpn: 'mqtt', clientCertificateCn: 'meter-7' },
};

function encoderOf(proxyProtocol: 'v1' | 'v2', fields = allV2Fields) {
  const encode = createProxyHeader({ proxyProtocol, proxyProtocolFields: fields }, () => 1_000_000);
  if (encode === undefined) throw new Error('nothing is told');
  return encode;
}

function headerOf(bytes: Uint8Array) {
  const decoded = decodeProxyHeader(bytes, 0, bytes.length);
  if (decoded.kind !== 'header') throw new Error(`no header: ${JSON.stringify(decoded)}`);
  return decoded.header;
}

describe('the PROXY protocol header of a device', () => {
  it('is none where the pool wants none', () => {
    expect(createProxyHeader({ proxyProtocol: 'none', proxyProtocolFields: allV2Fields }, () => 0)).toBe(
      undefined,
    );
  });

  it('names both ends in version 1', () => {
    expect(Buffer.from(encoderOf('v1')(peer)).toString()).toBe(
      'PROXY TCP4 192.0.2.7 198.51.100.1 40000 1883\r\n',
    );
  });

  it('tells TLS and a unique id in version 2', () => {
    const header = headerOf(encoderOf('v2')({ ...peer, tls }));
    expect(header.source).toEqual({ address: '192.0.2.7', port: 40_000 });
    expect(header.destination).toEqual(peer.destination);
    expect(toldTls(header.tlvs)).toEqual({
      ...{ sni: 'mqtt.example.com', alpn: 'mqtt', version: 'TLSv1.3', clientCn: 'meter-7' },
      cipher: 'TLS_AES_256_GCM_SHA384',
    });
    const id = header.tlvs.find(({ type }) => type === tlvType.uniqueId)?.value;
    expect(Buffer.from(id ?? []).toString()).toBe('192.0.2.7:40000-lfls');
  });

  it.each([
    ['alpn', { alpn: undefined }],
    ['authority', { sni: undefined }],
    ['tlsVersion', { version: undefined }],
    ['cipher', { cipher: undefined }],
    ['clientCn', { clientCn: undefined }],
  ] as const)('leaves out %s where that is turned off', (field, absent) => {
    const all = toldTls(headerOf(encoderOf('v2')({ ...peer, tls })).tlvs);
    const some = encoderOf('v2', { ...allV2Fields, [field]: false })({ ...peer, tls });
    expect(toldTls(headerOf(some).tlvs)).toEqual({ ...all, ...absent });
  });

  it('is the same on each link of the device', () => {
    const encode = encoderOf('v2');
    expect(encode(peer)).toBe(encode(peer));
  });

  it('goes with every candidate, and leaves their order', () => {
    const nodes = ['a', 'b'].map((nodeId, slot): Target => ({ slot, nodeId, host: '10.0.0.1', port: 1883 }));
    const header = Uint8Array.of(1);
    const candidates = [...withHeader(nodes[Symbol.iterator]() as never, header)];
    expect(candidates).toEqual(nodes.map((node) => ({ ...node, header })));
  });
});
