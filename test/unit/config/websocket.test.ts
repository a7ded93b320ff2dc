import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { ConfigError } from '../../../src/config/problems.ts';

const parse = (listener: string, rest = '') => parseConfig(`listeners: [${listener}]\n${rest}`, 'test.yaml');

function problemsOf(listener: string, rest = ''): string[] {
  try {
    parse(listener, rest);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ path, message }) => `${path}: ${message}`);
  }
}

describe('a listener for WebSocket', () => {
  it.each([
    ['ws://0.0.0.0', 'ws://0.0.0.0:8083/mqtt', '/mqtt'],
    ['ws://[::1]:80', 'ws://[::1]:80/mqtt', '/mqtt'],
    ['ws://localhost/', 'ws://localhost:8083/', '/'],
    ['ws://10.0.0.1:9001/plant/*', 'ws://10.0.0.1:9001/plant/*', '/plant/*'],
    ['ws://10.0.0.1/x//%61', 'ws://10.0.0.1:8083/x//%61', '/x/a'],
    ['ws://10.0.0.1/a:80/b', 'ws://10.0.0.1:8083/a:80/b', '/a:80/b'],
  ])('%s is %s', (url, full, path) => {
    const { listeners } = parse(`{ url: "${url}" }`);
    expect(listeners).toMatchObject([{ url: full, websocket: { path, origins: undefined } }]);
  });

  it('has port 8084 with TLS', () => {
    const { listeners } = parse('{ url: "wss://0.0.0.0", tls: { cert: a, key: b } }');
    expect(listeners).toMatchObject([{ url: 'wss://0.0.0.0:8084/mqtt', port: 8084 }]);
  });

  it('knows origins in lower case', () => {
    const { listeners } = parse('{ url: "ws://a", websocket: { origins: ["https://App.Example.com:444"] } }');
    expect(listeners[0]?.websocket?.origins).toEqual(['https://app.example.com:444']);
  });

  it('is named by rules in any form', () => {
    const { rules } = parse(
      '{ url: "ws://a" }',
      'rules: [{ when: { listener: "ws://a:8083" }, reject: banned }]',
    );
    expect(rules[0]?.when.listener).toEqual(['ws://a:8083/mqtt']);
  });

  it.each([
    ['{ url: "ws://a/*/b" }', "url: may have a '*' only at the end of its path: '/*/b'"],
    ['{ url: "ws://a/b?c" }', 'url: must look like'],
    ['{ url: "mqtt://a/b" }', "url: must have no path: 'mqtt://a/b'"],
    ['{ url: "mqtt://a", websocket: {} }', 'websocket: is for ws and wss listeners; leave it out'],
    ['{ url: "ws://a", websocket: { origins: [] } }', 'websocket.origins: must not be an empty list'],
    [
      '{ url: "ws://a", websocket: { origins: ["app.example.com"] } }',
      'websocket.origins[0]: must be an origin',
    ],
    ['{ url: "ws://a", websocket: { origins: ["https://a/b"] } }', 'websocket.origins[0]: must be an origin'],
    ['{ url: "wss://a" }', 'tls: is required for wss'],
  ])('%s: %s', (listener, problem) => {
    expect(problemsOf(listener)).toEqual([expect.stringContaining(`listeners[0].${problem}`)]);
  });

  it('shares no port with another, whatever the path', () => {
    expect(problemsOf('{ url: "ws://a/x" }, { url: "ws://a/y" }')).toEqual([
      'listeners[1].url: address a:8083 is used twice',
    ]);
  });
});
