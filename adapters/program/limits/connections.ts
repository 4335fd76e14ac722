/** Counts connections: the platform shows them request by request, so one is new when its address and port were not seen lately. */
import { LRUCache } from "lru-cache";

const CONNECTIONS_MAX = 10_000;
const ADDRESSES_MAX = 10_000;

export interface Counted {
  readonly connections: number;
  readonly addresses: number;
  readonly refused: number;
}

export class Connections {
  private readonly seen = new LRUCache<string, true>({ maxSize: CONNECTIONS_MAX, sizeCalculation: () => 1 });
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
    const name = `${address} ${port}`;
    if (this.seen.get(name)) return;
    this.seen.set(name, true);
    this.connections++;
    if (this.addresses.size < ADDRESSES_MAX) this.addresses.add(address);
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
