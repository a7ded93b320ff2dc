import { randomUUID } from 'node:crypto';
import { BreakwaterError } from '../../base/errors.ts';
import { TokenBucket } from '../../policy/admission/token-bucket.ts';
import type { Codec, Place } from './codec.ts';
import type { Answers } from './store.ts';

/** Largest question or answer, as JSON. */
const PAYLOAD_MAX_BYTES = 1024 * 1024;
/** Around a payload: ids and version. */
const ENVELOPE_MAX_BYTES = 4096;
/** Questions of this proxy that wait for answers at one time, and questions of others that are being answered here. */
const OUTSTANDING_MAX = 64;
/** Questions a second that are answered here, and at once; a rebalance of many proxies asks some dozens. */
const ANSWERS_PER_SECOND = 200;
/** Answers that are kept until Redis has said who lives: more proxies than one cluster has. */
const ANSWERS_MAX = 1024;
const TIMEOUT_MAX_MS = 30_000;

interface Outstanding {
  readonly answers: Map<string, unknown>;
  /** The proxies that have answered, also by a refusal. */
  readonly answered: Set<string>;
  /** Undefined until Redis has said who lives. */
  awaited: readonly string[] | undefined;
  /** Resolves with the answers so far, or rejects. */
  finish(error?: BreakwaterError): void;
}

interface AskOptions {
  readonly proxyId: string;
  readonly codec: Codec;
  /** Sends to all proxies, or to that one. @returns the ids of those that live */
  sendQuestion(text: string, to: string | undefined): Promise<readonly string[]>;
  sendAnswer(proxy: string, text: string): Promise<void>;
  onAsk(question: unknown): Promise<unknown> | undefined;
  now(): number;
}

const questions: Place = { key: 'questions', field: '' };
const answers: Place = { key: 'answers', field: '' };

/** Questions and answers among proxies. Their contents are checked by others. */
export function createAsking({ proxyId, codec, sendQuestion, sendAnswer, onAsk, now }: AskOptions) {
  const outstanding = new Map<string, Outstanding>();
  const pace = new TokenBucket(ANSWERS_PER_SECOND, ANSWERS_PER_SECOND);
  let answering = 0;

  function endIfAnswered({ awaited, answered, finish }: Outstanding): void {
    if (awaited?.every((id) => answered.has(id))) finish();
  }

  /** @returns undefined where there is no answer */
  async function answerOf(id: string, asked: Promise<unknown>): Promise<string | undefined> {
    answering++;
    try {
      const text = codec.write('answer', { id, from: proxyId, payload: (await asked) ?? null });
      return Buffer.byteLength(text) <= PAYLOAD_MAX_BYTES ? text : undefined;
    } catch {
      return undefined;
    } finally {
      answering--;
    }
  }

  function isTooLong(text: string, place: Place): boolean {
    if (text.length <= PAYLOAD_MAX_BYTES + ENVELOPE_MAX_BYTES) return false;
    codec.skip(place, 'size', `a message of ${text.length} characters`);
    return true;
  }

  return {
    /** @throws BreakwaterError REQUEST_INVALID, STORE_UNAVAILABLE */
    async ask(question: unknown, timeoutMs: number, to?: string): Promise<Answers> {
      if (outstanding.size >= OUTSTANDING_MAX) {
        throw new BreakwaterError(
          'STORE_UNAVAILABLE',
          `${OUTSTANDING_MAX} questions to other proxies wait for answers; try again`,
        );
      }
      const id = randomUUID(); // cannot be guessed by anybody who has not read the question
      const text = codec.write('question', { id, from: proxyId, payload: question });
      if (Buffer.byteLength(text) > PAYLOAD_MAX_BYTES) {
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
          else resolve(answersOf(entry));
        };
        const entry: Outstanding = { answers: new Map(), answered: new Set(), awaited: undefined, finish };
        outstanding.set(id, entry);
        sendQuestion(text, to).then(
          (living) => {
            entry.awaited = to === undefined ? living.filter((proxy) => proxy !== proxyId) : [to];
            endIfAnswered(entry);
          },
          (error) => finish(error),
        );
      });
    },

    async onQuestion(text: string): Promise<void> {
      if (isTooLong(text, questions)) return;
      const question = codec.read('question', text, questions);
      if (question === undefined || question.from === proxyId) return;
      const { id, from, payload } = question;
      const isTooMuch = answering >= OUTSTANDING_MAX || !pace.take(1, now());
      const asked = isTooMuch ? Promise.reject(new Error('too many questions')) : onAsk(payload);
      if (asked === undefined) return;
      const answer = await answerOf(id, asked);
      const refusal = codec.write('answer', { id, from: proxyId });
      await sendAnswer(from, answer ?? refusal).catch(() => {}); // the asker's time-out ends its wait
    },

    onAnswer(text: string): void {
      if (isTooLong(text, answers)) return;
      const answer = codec.read('answer', text, answers);
      const entry = answer && outstanding.get(answer.id);
      if (!entry || entry.answered.has(answer.from) || entry.answered.size >= ANSWERS_MAX) return;
      entry.answered.add(answer.from);
      if (answer.payload !== undefined) entry.answers.set(answer.from, answer.payload);
      endIfAnswered(entry);
    },

    /** Ends all waiting. */
    fail(error: BreakwaterError): void {
      for (const { finish } of [...outstanding.values()]) finish(error);
    },
  };
}

/** Only who lives has answered. */
function answersOf({ answers: all, awaited = [] }: Outstanding): Answers {
  const given = new Map([...all].filter(([proxy]) => awaited.includes(proxy)));
  return { given, missing: awaited.filter((proxy) => !given.has(proxy)) };
}
