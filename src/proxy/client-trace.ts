import { randomUUID } from 'node:crypto';
import type { ClientTrace } from '../admin/backend.ts';
import { BreakwaterError, type ErrorCode } from '../base/errors.ts';
import type { TraceAnswer, TraceOrder } from '../data-plane-api/trace.ts';
import type { FoundClients } from '../migration/found-clients.ts';
import { whomOf } from '../migration/whom.ts';
import type { OrderTrace } from './peer-traces.ts';

/** Begins traces for people: finds the device, and says why its packets cannot be shown. */

type Refusal = Exclude<TraceAnswer['state'], 'open' | 'gone'>;

const refusals: Readonly<Record<Refusal, readonly [code: ErrorCode, why: string]>> = {
  absent: ['CLIENT_UNKNOWN', 'it has just left; try again'],
  relayed: [
    'REQUEST_INVALID',
    'it is relayed, and its packets are not looked at: only those of session mode are',
  ],
  busy: ['TOO_MANY_SUBSCRIBERS', 'somebody traces it already, or too many others; try again later'],
  forbidden: [
    'FORBIDDEN',
    'payloads are not shown at its proxy; set admin.tracePayloads there, or leave them out',
  ],
};

const ends: Readonly<Partial<Record<TraceAnswer['state'], string>>> = {
  gone: 'the device has left',
  absent: 'the device has left, or its proxy does not answer',
  forbidden: 'payloads are not shown any more (admin.tracePayloads)',
};

/** @throws BreakwaterError CLIENT_UNKNOWN, CLIENT_AMBIGUOUS, REQUEST_INVALID, TOO_MANY_SUBSCRIBERS, FORBIDDEN */
export function createClientTraces(clients: Pick<FoundClients, 'find'>, orderTrace: OrderTrace) {
  return async (asked: string, payloads: boolean): Promise<ClientTrace> => {
    const [{ proxy, connection, clientId, node }] = await clients.find(whomOf(asked));
    const reader = randomUUID();
    const order = (kind: TraceOrder['kind']) => orderTrace(proxy, { kind, connection, reader, payloads });
    const { state } = await order('begin');
    if (state !== 'open' && state !== 'gone') {
      const [code, why] = refusals[state];
      throw new BreakwaterError(code, `connection #${connection}@${proxy} cannot be traced: ${why}`);
    }
    return {
      client: { clientId, connection, proxy, node },
      async take() {
        const answer = await order('take');
        return { packets: answer.packets, dropped: answer.dropped, over: ends[answer.state] };
      },
      async end() {
        await order('end');
      },
    };
  };
}
