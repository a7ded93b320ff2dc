import { z } from 'zod';
import { patience } from '../wait.ts';

type Json = Record<string, unknown>;

interface Operation {
  readonly responses: Readonly<
    Record<string, { readonly content?: Record<string, { readonly schema: Json }> }>
  >;
}

interface Document {
  readonly paths: Readonly<Record<string, { readonly get?: Operation }>>;
  readonly components: Json;
}

/** By their texts: all proxies of one build give the same, and to compile its schemas takes longer than to ask for answers. */
const documents = new Map<string, Document>();
const compiled = new WeakMap<object, z.ZodType>();

/** Answers that go on for ever. */
const endless = /(events|trace)$/;

/** The admin API of a proxy, whose answers must be as its own description says. */
export class CheckedApi {
  private readonly url: string;
  token: string | undefined;
  private document: Document | undefined;

  constructor(url: string) {
    this.url = url;
  }

  async call(method: string, path: string, body?: object): Promise<{ status: number; value: unknown }> {
    const answer = await fetch(`${this.url}${path}`, {
      method,
      headers: {
        ...(this.token && { authorization: `Bearer ${this.token}` }),
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(patience(60_000)),
    });
    const text = await answer.text();
    const isJson = answer.headers.get('content-type')?.includes('json');
    return { status: answer.status, value: isJson ? JSON.parse(text) : text };
  }

  /** @throws Error where the answer is none of success */
  async get<T>(path: string): Promise<T> {
    const { status, value } = await this.call('GET', `/api/v1/${path}`);
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${JSON.stringify(value)}`);
    return value as T;
  }

  /** Asks everything that can be asked; each answer has its schema. Of a client that has just left it may be said so. */
  async checkAll(): Promise<void> {
    this.document ??= await this.described();
    const nodes = await this.get<{ id: string }[]>('nodes');
    const { clients } = await this.get<{ clients: { clientId: string }[] }>('clients?limit=1000');
    const idsOf = (path: string): readonly string[] =>
      path.includes('clients') ? clients.map(({ clientId }) => clientId) : nodes.map(({ id }) => id);
    for (const [path, { get }] of Object.entries(this.document.paths)) {
      if (get === undefined || endless.test(path)) continue;
      const paths = path.includes('{')
        ? idsOf(path).map((id) => path.replace(/\{\w+\}/, encodeURIComponent(id)))
        : [path];
      for (const asked of paths) await this.check(asked, get);
    }
  }

  private async check(path: string, { responses }: Operation): Promise<void> {
    const { status, value } = await this.call('GET', path);
    if (status >= 500 && !path.endsWith('readyz'))
      throw new Error(`GET ${path}: ${status} ${JSON.stringify(value)}`);
    const content = (responses[status] ?? responses.default)?.content ?? {};
    const schema = Object.values(content)[0]?.schema;
    if (schema === undefined) return;
    const parsed = this.compile(schema).safeParse(value);
    if (!parsed.success)
      throw new Error(`GET ${path} is not as described: ${parsed.error.message} in ${JSON.stringify(value)}`);
  }

  private async described(): Promise<Document> {
    const text = JSON.stringify(await this.get('openapi.json'));
    const document = documents.get(text) ?? (JSON.parse(text) as Document);
    documents.set(text, document);
    return document;
  }

  private compile(schema: Json): z.ZodType {
    const known = compiled.get(schema);
    if (known !== undefined) return known;
    const made = z.fromJSONSchema(this.resolved(schema) as never, { defaultTarget: 'openapi-3.0' });
    compiled.set(schema, made);
    return made;
  }

  /** With what it refers to in its place. */
  private resolved(schema: unknown): unknown {
    if (Array.isArray(schema)) return schema.map((each) => this.resolved(each));
    if (typeof schema !== 'object' || schema === null) return schema;
    const { $ref } = schema as { $ref?: string };
    if ($ref !== undefined) {
      const name = $ref.split('/').at(-1) ?? '';
      return this.resolved((this.document?.components.schemas as Json)[name]);
    }
    return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, this.resolved(value)]));
  }
}
