import { type ErrorCode, errorCodes } from '../../base/errors.ts';
import { markdownTable } from './sections.ts';

/** The table of error codes, and that of exit codes. */

interface Meaning {
  readonly when: string;
  /** What helps. */
  readonly remedy: string;
}

const meanings: Readonly<Record<ErrorCode, Meaning>> = {
  CONFIG_INVALID: {
    when: 'the configuration file or a flag is wrong',
    remedy: 'mend what the message lists: the first fifty problems, and how many there are besides',
  },
  CONFIG_UNREADABLE: {
    when: 'the file is missing, cannot be read, or is larger than 1 MiB',
    remedy: 'give `-c` the path of the file',
  },
  RELOAD_NEEDS_RESTART: {
    when: 'the changed file has changes that hold from the next start only; nothing was changed',
    remedy: 'start the proxy again, or take back what the message names',
  },
  RELOAD_REFUSED: {
    when: 'the proxy is starting, stopping, or being upgraded',
    remedy: 'wait until that is over',
  },
  UPGRADE_UNDER_WAY: {
    when: 'the proxy starts, stops, or is upgraded already; or a device may stand still for an upgrade, or have gone over: a kick or a move is carried out all the same',
    remedy: 'wait until that is over, and try again',
  },
  UPGRADE_FAILED: {
    when: 'the new process did not get ready, or ended; the old one goes on',
    remedy: 'mend what the message and the log of the new process say, and try again',
  },
  USAGE: { when: 'a command was typed wrongly', remedy: '`--help` shows how' },
  ADDRESS_IN_USE: {
    when: 'another program has the address',
    remedy: 'end that program, or change the line or flag that the message names',
  },
  ADDRESS_NOT_AVAILABLE: {
    when: 'the address is not of this machine, or the port needs privileges',
    remedy: 'choose another one, or give the process the right to bind it',
  },
  TLS_INVALID: {
    when: 'a certificate, key, authority or revocation list is not what it should be',
    remedy: 'replace the file; the message says what is wrong with it',
  },
  NODE_UNKNOWN: { when: 'no node has this id', remedy: 'choose one of those that the message lists' },
  NODE_EXISTS: { when: 'the id is taken', remedy: 'choose another id' },
  NODE_INVALID: {
    when: 'the URL, id or weight of a node is not possible',
    remedy: 'the message says what is',
  },
  POOL_UNKNOWN: { when: 'no pool has this name', remedy: 'choose one of those that the message lists' },
  PROXY_UNKNOWN: { when: 'no proxy of this id lives', remedy: 'choose one of those that the message lists' },
  PROXY_SILENT: {
    when: 'a proxy lives by its heartbeats, and does not answer the one that was asked, or cannot say whether a device is there',
    remedy: 'try again, or ask its own admin API',
  },
  CLIENT_UNKNOWN: {
    when: 'no device with this client id is connected to any proxy',
    remedy: '`client list --match` finds it',
  },
  CLIENT_AMBIGUOUS: {
    when: 'several proxies have a connection of that number',
    remedy: "name the proxy as well: `'#17@edge-1'`",
  },
  CLIENT_IMMOVABLE: {
    when: 'the device is relayed, logged in by enhanced authentication, or has too many subscriptions to be moved',
    remedy: '`client kick` disconnects it, so that it finds another node',
  },
  BAN_LIMIT: {
    when: 'the cluster has 10,000 bans that are not over',
    remedy: 'remove some, or ban a network in place of its addresses',
  },
  MOVE_REFUSED: {
    when: 'the node does not take the session, or the session is in the middle of something; the message says which',
    remedy: 'try again, or name another node',
  },
  BAN_UNKNOWN: { when: 'no ban has this id, or it has ended', remedy: '`ban list` has them' },
  REBALANCE_REFUSED: {
    when: 'the pool has a hash strategy, under which devices would go back',
    remedy: 'change weights instead',
  },
  REQUEST_INVALID: {
    when: 'a request to the admin API does not fit its schema',
    remedy: '`fields` says where; `/api/v1/openapi.json` has the schemas',
  },
  NOT_FOUND: { when: 'the admin API has no such path', remedy: '`/api/v1/openapi.json` lists them' },
  UNAUTHORIZED: {
    when: 'the token is missing or wrong, or the certificate has no role',
    remedy: 'give `--token` or `BREAKWATER_TOKEN`; or name the certificate in `admin.tls.clients`',
  },
  FORBIDDEN: {
    when: 'the role of the token does not reach so far; or there is no token, and the request named another host or came from a page of another site; or payloads of a trace were asked for, which `admin.tracePayloads` does not allow',
    remedy:
      'use a token of the role that the message names; or ask by the address of `admin.url`, or set `admin.token`',
  },
  TOO_MANY_GUESSES: {
    when: 'more than 20 wrong tokens came from one source, which is heard once a second then',
    remedy: 'wait for as long as `Retry-After` says',
  },
  ADMIN_BUSY: {
    when: 'all connections of the admin API are at work; probes are still answered',
    remedy: 'try again; close what is not used',
  },
  TOO_MANY_SUBSCRIBERS: {
    when: '32 follow the events already; or a device is traced already, or too many are',
    remedy: 'close one of them',
  },
  ADMIN_UNREACHABLE: {
    when: 'the command line found no admin API at the address',
    remedy: 'start the proxy, or give `--admin` its address',
  },
  ADMIN_TOKEN_REQUIRED: {
    when: 'the admin API is to listen beyond loopback, or its token is empty',
    remedy: 'set `admin.token`',
  },
  ENGINE_UNAVAILABLE: {
    when: '`proxy.engine: epoll` or `uring` cannot run here; the message says why',
    remedy: 'use `auto` or `node`',
  },
  TRANSPARENT_UNAVAILABLE: {
    when: '`upstream.transparent` needs an engine for Linux and CAP_NET_ADMIN; the message says which is missing',
    remedy: 'give the process what is missing, or turn it off',
  },
  UPGRADE_UNAVAILABLE: {
    when: 'connections cannot be handed over to a new process here: the `node` engine cannot do it, and the demo is more than a proxy',
    remedy: 'use `proxy.engine: auto` on Linux; until then restart',
  },
  UPGRADE_REFUSED: {
    when: 'a process was handed a socket, or a state, that it cannot go on with; the message says why',
    remedy: 'none is needed: whoever handed it over keeps it',
  },
  TABLE_FULL: {
    when: 'there are 1,024 nodes, those included that were removed and still have connections; logged as _node takes no devices_, and tried again every 5 s',
    remedy: 'remove nodes',
  },
  NAME_UNRESOLVED: {
    when: 'the host name of a node does not resolve; logged as _node takes no devices_',
    remedy: 'mend the name or the DNS; it is looked up every 5 s',
  },
  PROBE_FAILED: {
    when: 'a probe was refused or answered wrongly; the reason stands as the cause of _node unhealthy_',
    remedy: 'look at the node, then at `health` of its pool',
  },
  PROBE_TIMEOUT: { when: 'a probe was not answered in time; likewise', remedy: 'likewise' },
  STORE_UNAVAILABLE: {
    when: 'Redis does not answer: nothing that is shared can be changed, and devices of other proxies cannot be asked for',
    remedy: 'bring Redis back; proxies connect again by themselves',
  },
  STORE_CONFLICT: {
    when: 'others change the same entry of Redis, a decision about a node or the claim of a device, all the time',
    remedy: 'try again',
  },
  THREAD_UNAVAILABLE: {
    when: 'a data thread died, or did not answer within 5 s; one that died is started again at once, or after up to 10 s where it dies again and again. Its devices stand still until then, and a kick or a move of one is carried out behind that',
    remedy: 'try again; the log says why',
  },
  HANDOVER_INVALID: {
    when: 'what another process hands over is of another format; the connection stays with that process',
    remedy: 'hand over between versions that know the same format; the log says where they differ',
  },
  INTERNAL: {
    when: 'a fault of Breakwater',
    remedy: 'the log has the details under the `requestId`; report it',
  },
};

const codes = Object.keys(errorCodes) as ErrorCode[];

export function errorCodeTable(): string {
  const rows = codes.map((code) => {
    const kind: { source: string; retryable: boolean; status: number; exit?: 2 } = errorCodes[code];
    const { when, remedy } = meanings[code];
    const facts = [kind.source, String(kind.status), String(kind.exit ?? 1), kind.retryable ? 'yes' : 'no'];
    return [`\`${code}\``, ...facts, when, remedy];
  });
  return markdownTable(['code', 'source', 'HTTP', 'exit', 'again?', 'when', 'what helps'], rows);
}

export function exitCodeTable(): string {
  const wrong = codes.filter((code) => 'exit' in errorCodes[code]).map((code) => `\`${code}\``);
  return markdownTable(
    ['exit code', 'when'],
    [
      ['0', 'done; `start` exits with 0 only after a signal'],
      [
        '1',
        'failed: any other error code, a drain that something could not leave, a finding of `status`, a second signal',
      ],
      ['2', `wrong usage or configuration: ${wrong.join(', ')}; an unknown command or option`],
    ],
  );
}
