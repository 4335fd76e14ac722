/**
 * A file as the receiver of a sink: one event a line, on the disk before it counts as delivered. The file is opened anew for each
 * hand-over, so that it may be moved away at any time, as logrotate does. Others may append to it as well.
 */
import type { Connection, Transport } from "../../actors/kernel/transport.ts";

const LINE_END = 10;

export const fileTransport = (path: string): Transport => {
  const utf8 = new TextEncoder();
  const connection: Connection = {
    settleMs: 0,
    stays: true,
    async send(parcels) {
      using file = await Deno.open(path, { read: true, append: true, create: true, mode: 0o600 });
      const end = await file.seek(0, Deno.SeekMode.End);
      let written = 0;
      try {
        // Who died in the midst of a line leaves a part of one; the event comes again, on a line of its own.
        const broken = end > 0 && await lastByte(file, end) !== LINE_END;
        const text = parcels.map((parcel) => `${parcel.text}\n`).join("");
        const bytes = utf8.encode(broken ? `\n${text}` : text);
        while (written < bytes.length) written += await file.write(bytes.subarray(written));
        await file.syncData();
      } catch (error) {
        // The disk is in trouble; then a part of it stays, as it does where others wrote meanwhile.
        await shorten(file, end, written).catch(() => {});
        throw error;
      }
      return [];
    },
    settle: () => Promise.resolve(),
    close: () => {},
  };
  return { connect: () => Promise.resolve(connection) };
};

const lastByte = async (file: Deno.FsFile, end: number): Promise<number | undefined> => {
  const byte = new Uint8Array(1);
  await file.seek(end - 1, Deno.SeekMode.Start);
  await file.read(byte);
  return byte[0];
};

const shorten = async (file: Deno.FsFile, end: number, written: number): Promise<void> => {
  if ((await file.stat()).size === end + written) await file.truncate(end);
};
