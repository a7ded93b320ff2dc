/** How names are completed: resolv.conf(5). */
interface SearchDomains {
  readonly domains: readonly string[];
  /** A name with so many dots is asked for as it is first. */
  readonly ndots: number;
}

/** As glibc takes them. */
const MAX_DOMAINS = 6;
const MAX_NDOTS = 15;

export function parseSearchDomains(text: string): SearchDomains {
  let domains: readonly string[] = [];
  let ndots = 1;
  for (const line of text.split('\n')) {
    const [key, ...values] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/);
    // The last of the two counts.
    if (key === 'search') domains = values.slice(0, MAX_DOMAINS);
    else if (key === 'domain') domains = values.slice(0, 1);
    else if (key === 'options') ndots = ndotsIn(values) ?? ndots;
  }
  return { domains: domains.filter((domain) => domain !== '.'), ndots };
}

function ndotsIn(options: readonly string[]): number | undefined {
  for (const option of options) {
    const [, digits] = /^ndots:(\d{1,2})$/.exec(option) ?? [];
    if (digits !== undefined) return Math.min(Number(digits), MAX_NDOTS);
  }
  return undefined;
}

/** What a DNS server is asked for, in turn, until there is an answer. A name that ends with a dot is whole. */
export function candidatesOf(name: string, { domains, ndots }: SearchDomains): string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)];
  const completed = domains.map((domain) => `${name}.${domain.replace(/\.$/, '')}`);
  const dots = name.split('.').length - 1;
  return dots >= ndots ? [name, ...completed] : [...completed, name];
}
