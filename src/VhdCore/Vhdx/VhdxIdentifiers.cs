using System.Buffers.Binary;
using System.Security.Cryptography;

namespace VhdCore.Vhdx;

/// <summary>
/// Where new identifiers and a session's first sequence number come from: chance, or a seed, from which the same come in the same order every time.
/// One call at a time.
/// </summary>
internal sealed class VhdxIdentifiers
{
    private readonly byte[]? _seed;
    private long _count;

    private VhdxIdentifiers(byte[]? seed) => _seed = seed;

    /// <summary>They come from a seed: the file is to be the same byte for byte, whenever and however fast it is made.</summary>
    public bool AreReproducible => _seed is not null;

    /// <summary>By chance.</summary>
    public static VhdxIdentifiers Random() => new(null);

    /// <summary>From what a caller gives for the purpose. The parent's is part of it, so that a child never has its parent's identifiers.</summary>
    /// <param name="id">The identifier asked for.</param>
    /// <param name="time">The time asked for; seconds count.</param>
    /// <param name="parent">The parent's DataWriteGuid; zeros without a parent.</param>
    public static VhdxIdentifiers From(Guid id, DateTimeOffset time, Guid parent)
    {
        var material = new byte[40];
        id.TryWriteBytes(material);
        parent.TryWriteBytes(material.AsSpan(16));
        BinaryPrimitives.WriteInt64LittleEndian(material.AsSpan(32), time.ToUnixTimeSeconds());
        return new VhdxIdentifiers(SHA256.HashData(material));
    }

    /// <summary>An identifier; never all zeros.</summary>
    public Guid NextGuid()
    {
        if (_seed is null)
        {
            return Guid.NewGuid();
        }

        var bytes = Next();
        bytes[7] = (byte)((bytes[7] & 0x0F) | 0x40); // version 4: no meaning
        bytes[8] = (byte)((bytes[8] & 0x3F) | 0x80);
        return new Guid(bytes.AsSpan(0, 16), bigEndian: false);
    }

    /// <summary>A log session's first sequence number, small enough never to run over; above zero.</summary>
    /// <remarks>Hyper-V starts each session at a random number, so that stale entries never continue a new sequence.</remarks>
    public ulong NextSequenceNumber() => (BinaryPrimitives.ReadUInt64LittleEndian(_seed is null ? Guid.NewGuid().ToByteArray() : Next()) >> 2) + 1;

    private byte[] Next()
    {
        var material = new byte[40];
        _seed!.CopyTo(material, 0);
        BinaryPrimitives.WriteInt64LittleEndian(material.AsSpan(32), _count++);
        return SHA256.HashData(material);
    }
}
