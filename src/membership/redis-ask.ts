import { BreakwaterError } from '../errors.ts';

/** Largest question or answer, as JSON. */
const PAYLOAD_MAX_BYTES = 1024 * 1024;
/** Questions of this proxy that wait for answers at one time, and questions of others that are being answered here. */
const OUTSTANDING_MAX = 64;
const TIMEOUT_MAX_MS = 30_000;

interface Envelope {
  readonly id: string;
  readonly from: string;
  /** Absent in a refusal: the proxy has no answer, and need not be waited for. */
  readonly payload?: unknown;
}

interface Outstanding {
  readonly answers: unknown[];
  readonly answered: Set<string>;
  /** Undefined until Redis has said who lives. */
  awaited: readonly string[] | undefined;
  /** Resolves with the answers so far, or rejects. */
  finish(error?: BreakwaterError): void;
}

export interface AskOptions {
  readonly proxyId: string;
  /** Sends to all proxies. @returns the ids of those that live */
  sendQuestion(text: string): Promise<readonly string[]>;
  sendAnswer(proxy: string, text: string): Promise<void>;
  onAsk(question: unknown): Promise<unknown>;
}

/** Questions and answers among proxies. What cannot be read is not for us: another version of Breakwater sent it. */
export function createAsking({ proxyId, sendQuestion, sendAnswer, onAsk }: AskOptions) {
  const outstanding = new Map<string, Outstanding>();
  let asked = 0;
  let answering = 0;

  function endIfAnswered({ awaited, answered, finish }: Outstanding): void {
    if (awaited?.every((id) => answered.has(id))) finish();
  }

  /** @returns undefined where there is no answer */
  async function answerTo(id: string, question: unknown): Promise<string | undefined> {
    if (answering >= OUTSTANDING_MAX) return undefined;
    answering++;
    try {
      return sealed({ id, from: proxyId, payload: (await onAsk(question)) ?? null });
    } catch {
      return undefined;
    } finally {
      answering--;
    }
  }

  return {
    /** @throws BreakwaterError REQUEST_INVALID, STORE_UNAVAILABLE */
    async ask(question: unknown, timeoutMs: number): Promise<readonly unknown[]> {
      if (outstanding.size >= OUTSTANDING_MAX) {
        throw new BreakwaterError(
          'STORE_UNAVAILABLE',
          `${OUTSTANDING_MAX} questions to other proxies wait for answers; try again`,
        );
      }
      const id = `${proxyId} ${++asked}`;
      const text = sealed({ id, from: proxyId, payload: question });
      if (text === undefined) {
        throw new BreakwaterError(
          'REQUEST_INVALID',
          'a question to other proxies is at most 1 MiB of JSON; ask for less',
        );
      }
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => finish(), Math.min(timeoutMs, TIMEOUT_MAX_MS));
        const finish = (error?: BreakwaterError): void => {
          clearTimeout(timer);
          outstanding.delete(id);
          if (error) reject(error);
          else resolve(entry.answers);
        };
        const entry: Outstanding = { answers: [], answered: new Set(), awaited: undefined, finish };
        outstanding.set(id, entry);
        sendQuestion(text).then(
          (living) => {
            entry.awaited = living.filter((proxy) => proxy !== proxyId);
            endIfAnswered(entry);
          },
          (error) => finish(error),
        );
      });
    },

    async onQuestion(text: string): Promise<void> {
      const envelope = opened(text);
      if (!envelope || envelope.from === proxyId) return;
      const { id, from } = envelope;
      const answer = await answerTo(id, envelope.payload);
      const refusal = JSON.stringify({ id, from: proxyId });
      await sendAnswer(from, answer ?? refusal).catch(() => {}); // the asker's time-out ends its wait
    },

    onAnswer(text: string): void {
      const envelope = opened(text);
      const entry = envelope && outstanding.get(envelope.id);
      if (!entry || entry.answered.has(envelope.from)) return;
      entry.answered.add(envelope.from);
      if ('payload' in envelope) entry.answers.push(envelope.payload);
      endIfAnswered(entry);
    },

    /** Ends all waiting. */
    fail(error: BreakwaterError): void {
      for (const { finish } of [...outstanding.values()]) finish(error);
    },
  };
}

function sealed(envelope: Envelope): string | undefined {
  const text = JSON.stringify(envelope);
  return Buffer.byteLength(text) <= PAYLOAD_MAX_BYTES ? text : undefined;
}

function opened(text: string): Envelope | undefined {
  try {
    const envelope = JSON.parse(text);
    return typeof envelope?.id === 'string' && typeof envelope.from === 'string' ? envelope : undefined;
  } catch {
    return undefined;
  }
}
