using System.Buffers.Binary;

namespace VhdService.Fuzz;

/// <summary>Commands near those that make sense.</summary>
internal static class OddCommands
{
    private static readonly byte[] Opcodes =
    [
        0x00, 0x03, 0x08, 0x0A, 0x12, 0x1A, 0x1B, 0x1E, 0x25, 0x28, 0x2A, 0x2B, 0x2F, 0x35, 0x41, 0x42, 0x5A, 0x5E, 0x5F, 0x88, 0x8A, 0x8F, 0x91, 0x93, 0x9E, 0xA0, 0xA3, 0xA8, 0xAA,
    ];

    public static byte[] Make(Random random, int blocks)
    {
        var cdb = new byte[16];
        if (random.Next(4) == 0)
        {
            random.NextBytes(cdb);
        }

        cdb[0] = random.Next(20) == 0 ? (byte)random.Next(256) : Opcodes[random.Next(Opcodes.Length)];
        var lba = random.Next(8) switch { 0 => (ulong)random.NextInt64() >> random.Next(64), 1 => (ulong)(blocks - random.Next(4)), _ => (ulong)random.Next(blocks) };
        var count = random.Next(8) switch { 0 => (uint)random.Next(), 1 => 0u, _ => (uint)random.Next(1, 40) };
        switch (cdb[0] >> 5)
        {
            case 0 when cdb[0] is 0x08 or 0x0A:
                cdb[1] = (byte)((lba >> 16) & 0x1F);
                BinaryPrimitives.WriteUInt16BigEndian(cdb.AsSpan(2), (ushort)lba);
                cdb[4] = (byte)count;
                break;
            case 1 or 2 when cdb[0] is not 0x42:
                BinaryPrimitives.WriteUInt32BigEndian(cdb.AsSpan(2), (uint)lba);
                BinaryPrimitives.WriteUInt16BigEndian(cdb.AsSpan(7), (ushort)count);
                break;
            case 4:
                BinaryPrimitives.WriteUInt64BigEndian(cdb.AsSpan(2), lba);
                BinaryPrimitives.WriteUInt32BigEndian(cdb.AsSpan(10), count);
                break;
            case 5 when cdb[0] is 0xA8 or 0xAA:
                BinaryPrimitives.WriteUInt32BigEndian(cdb.AsSpan(2), (uint)lba);
                BinaryPrimitives.WriteUInt32BigEndian(cdb.AsSpan(6), count);
                break;
            case 0 when cdb[0] == 0x12:
                cdb[1] = (byte)random.Next(3);
                byte[] pages = [0, 0x80, 0x83, 0xB0, 0xB1, 0xB2, (byte)random.Next(256)];
                cdb[2] = pages[random.Next(pages.Length)];
                cdb[4] = (byte)random.Next(256);
                break;
        }

        return cdb;
    }

    /// <summary>The list that UNMAP brings along; empty for other commands.</summary>
    public static byte[] MakeParameters(Random random, byte[] cdb, int blocks)
    {
        if (cdb[0] != 0x42)
        {
            return [];
        }

        var descriptors = random.Next(6);
        var list = new byte[8 + (16 * descriptors)];
        BinaryPrimitives.WriteUInt16BigEndian(list, random.Next(5) == 0 ? (ushort)random.Next() : (ushort)(list.Length - 2));
        BinaryPrimitives.WriteUInt16BigEndian(list.AsSpan(2), random.Next(5) == 0 ? (ushort)random.Next() : (ushort)(16 * descriptors));
        for (var at = 8; at < list.Length; at += 16)
        {
            BinaryPrimitives.WriteUInt64BigEndian(list.AsSpan(at), random.Next(5) == 0 ? (ulong)random.NextInt64() : (ulong)random.Next(blocks));
            BinaryPrimitives.WriteUInt32BigEndian(list.AsSpan(at + 8), random.Next(5) == 0 ? (uint)random.Next() : (uint)random.Next(64));
        }

        BinaryPrimitives.WriteUInt16BigEndian(cdb.AsSpan(7), random.Next(5) == 0 ? (ushort)random.Next() : (ushort)list.Length);
        return list;
    }
}
