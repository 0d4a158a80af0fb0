using System.Buffers.Binary;

namespace VhdService.Fuzz;

/// <summary>The blocks that commands which change a disk have named so far.</summary>
internal sealed class NamedBlocks(int diskSize)
{
    private readonly bool[] _blocks = new bool[diskSize / 512];

    public bool this[int block] => _blocks[block];

    public void Add(byte[] cdb, byte[] parameters)
    {
        switch (cdb[0])
        {
            case 0x0A:
                Add((ulong)(((cdb[1] & 0x1F) << 16) | (cdb[2] << 8) | cdb[3]), cdb[4] == 0 ? 256u : cdb[4]);
                break;
            case 0x2A:
                Add(BinaryPrimitives.ReadUInt32BigEndian(cdb.AsSpan(2)), BinaryPrimitives.ReadUInt16BigEndian(cdb.AsSpan(7)));
                break;
            case 0x41: // WRITE SAME: no blocks are all blocks from there
                var count = BinaryPrimitives.ReadUInt16BigEndian(cdb.AsSpan(7));
                Add(BinaryPrimitives.ReadUInt32BigEndian(cdb.AsSpan(2)), count == 0 ? uint.MaxValue : count);
                break;
            case 0xAA:
                Add(BinaryPrimitives.ReadUInt32BigEndian(cdb.AsSpan(2)), BinaryPrimitives.ReadUInt32BigEndian(cdb.AsSpan(6)));
                break;
            case 0x8A:
                Add(BinaryPrimitives.ReadUInt64BigEndian(cdb.AsSpan(2)), BinaryPrimitives.ReadUInt32BigEndian(cdb.AsSpan(10)));
                break;
            case 0x93:
                var count16 = BinaryPrimitives.ReadUInt32BigEndian(cdb.AsSpan(10));
                Add(BinaryPrimitives.ReadUInt64BigEndian(cdb.AsSpan(2)), count16 == 0 ? uint.MaxValue : count16);
                break;
            case 0x42:
                for (var at = 8; at + 16 <= parameters.Length; at += 16)
                {
                    Add(BinaryPrimitives.ReadUInt64BigEndian(parameters.AsSpan(at)), BinaryPrimitives.ReadUInt32BigEndian(parameters.AsSpan(at + 8)));
                }

                break;
        }
    }

    private void Add(ulong lba, uint count)
    {
        for (var block = lba; block < (ulong)_blocks.Length && block - lba < count; block++)
        {
            _blocks[block] = true;
        }
    }
}
