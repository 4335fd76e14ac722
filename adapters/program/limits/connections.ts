/** Counts connections: the platform shows them request by request, so one is new when its address and port were not seen lately. */

/** So many are remembered at least, and twice as many at most. */
export const CONNECTIONS_MAX = 10_000;
const ADDRESSES_MAX = 10_000;

export interface Counted {
  readonly connections: number;
  readonly addresses: number;
  readonly refused: number;
}

export class Connections {
  /** Ports by address: of connections that were seen lately, and of those before them. */
  private recent = new Map<string, Set<number>>();
  private before = new Map<string, Set<number>>();
  private remembered = 0;
  private readonly addresses = new Set<string>();
  private connections = 0;
  private refusals = 0;
  // Most requests come over the connection of the one before.
  private lastAddress = "";
  private lastPort = 0;

  request(address: string, port: number): void {
    if (port === this.lastPort && address === this.lastAddress) return;
    this.lastAddress = address;
    this.lastPort = port;
    if (!this.isNew(address, port)) return;
    this.connections++;
    if (this.addresses.size < ADDRESSES_MAX) this.addresses.add(address);
  }

  private isNew(address: string, port: number): boolean {
    const ports = this.recent.get(address);
    if (ports?.has(port)) return false;
    const isNew = this.before.get(address)?.has(port) !== true;
    if (ports) ports.add(port);
    else this.recent.set(address, new Set([port]));
    if (++this.remembered === CONNECTIONS_MAX) {
      this.before = this.recent;
      this.recent = new Map();
      this.remembered = 0;
    }
    return isNew;
  }

  refused(): void {
    this.refusals++;
  }

  /** Since the last time it was asked. */
  take(): Counted {
    const counted = { connections: this.connections, addresses: this.addresses.size, refused: this.refusals };
    this.connections = this.refusals = 0;
    this.addresses.clear();
    return counted;
  }
}
