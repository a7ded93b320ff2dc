import { z } from 'zod';
import type { Answers, MembershipStore, Skipped } from './store.ts';

/** The longest that other proxies are waited for. */
const ASK_TIMEOUT_MS = 1_000;

/** Something that proxies ask each other, with the shape of both sides. */
export interface Topic<Question, Answer> {
  /** Unique. A question whose meaning changes gets another name: then older proxies refuse it at once. */
  readonly name: string;
  readonly question: z.ZodType<Question>;
  readonly answer: z.ZodType<Answer>;
}

/** What the others answered; answers of another shape count as missing. */
export interface PeerAnswers<Answer> {
  /** By the id of the proxy that gave it. */
  readonly given: ReadonlyMap<string, Answer>;
  /** Proxies that live and gave no answer. */
  readonly missing: readonly string[];
}

/** Asks all other proxies, or only that one. @throws BreakwaterError STORE_UNAVAILABLE, REQUEST_INVALID */
export type Ask<Question, Answer> = (question: Question, to?: string) => Promise<PeerAnswers<Answer>>;

export interface Topics {
  /** From now on the others' questions of this topic are answered so. @returns how to ask them */
  register<Question, Answer>(
    topic: Topic<Question, Answer>,
    answer: (question: Question) => Answer | Promise<Answer>,
  ): Ask<Question, Answer>;
  /** Answers another proxy. Rejects for what is not understood. */
  answer(message: unknown): Promise<unknown>;
}

const envelope = z.object({ topic: z.string().max(64), question: z.unknown().optional() });

/** Ask and answer among proxies: nothing that another proxy says goes further before it has its shape. */
export function createTopics(
  store: Pick<MembershipStore, 'ask'>,
  onSkipped: (skipped: Skipped) => void,
): Topics {
  const topics = new Map<string, (question: unknown) => Promise<unknown>>();

  function misshapen(key: 'questions' | 'answers', topic: string, { issues }: z.ZodError): void {
    const [first] = issues;
    const detail = `${first?.path.join('.')}: ${first?.message}`.slice(0, 200);
    onSkipped({ key, field: topic, reason: 'schema', detail });
  }

  function understood<Answer>(
    topic: string,
    shape: z.ZodType<Answer>,
    answers: Answers,
  ): PeerAnswers<Answer> {
    const given = new Map<string, Answer>();
    const missing = [...answers.missing];
    for (const [proxy, answer] of answers.given) {
      const parsed = shape.safeParse(answer);
      if (parsed.success) given.set(proxy, parsed.data);
      else {
        missing.push(proxy);
        misshapen('answers', topic, parsed.error);
      }
    }
    return { given, missing };
  }

  return {
    register({ name, question: questionShape, answer: answerShape }, answer) {
      topics.set(name, async (asked) => {
        const question = questionShape.safeParse(asked);
        if (question.success) return answer(question.data);
        misshapen('questions', name, question.error);
        throw new Error('the question has another shape');
      });
      return async (question, to) =>
        understood(name, answerShape, await store.ask({ topic: name, question }, ASK_TIMEOUT_MS, to));
    },
    async answer(message) {
      const asked = envelope.safeParse(message);
      if (!asked.success) misshapen('questions', '', asked.error);
      const { topic = '', question } = asked.data ?? {};
      const answered = topics.get(topic);
      if (answered !== undefined) return answered(question);
      if (asked.success)
        onSkipped({
          key: 'questions',
          field: '',
          reason: 'unknown',
          detail: `its topic is ${JSON.stringify(topic)}`,
        });
      throw new Error('the question is not understood');
    },
  };
}
