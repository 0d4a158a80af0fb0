using System.Buffers.Binary;
using System.Security.Cryptography;

namespace VhdCore.Operations;

/// <summary>The tree of docs/tree-hash.md, built from the left. Holds one hash for each level.</summary>
internal sealed class TreeHash
{
    /// <summary>Bytes of disk in a leaf; the last may have fewer.</summary>
    public const int BlockSize = 1 << 20;

    private const int HashSize = SHA256.HashSizeInBytes;
    public const byte LeafPrefix = 0;
    private const byte NodePrefix = 1;
    private const byte RootPrefix = 2;

    // Hashes of trees whose leaves are all full blocks of zeros, by height.
    private readonly List<byte[]> _zeroTrees = [];

    // Complete trees so far, tallest first. Their heights are the bits of _leafCount, as in a binary counter.
    private readonly Stack<byte[]> _trees = new();
    private long _leafCount;
    private bool _lastIsShort;

    /// <summary>A leaf's hash. Any thread.</summary>
    public static byte[] Leaf(ReadOnlySpan<byte> block)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData([LeafPrefix]);
        hash.AppendData(block);
        return hash.GetHashAndReset();
    }

    /// <summary>Adds the next leaf.</summary>
    public void Append(byte[] leaf) => AppendTree(leaf, height: 0);

    /// <summary>Adds the windows of a group.</summary>
    /// <param name="group">The next windows.</param>
    /// <param name="leaves">The hashes of those that have data.</param>
    public void Append(TreeHashGroup group, IReadOnlyList<byte[]> leaves)
    {
        var next = 0;
        foreach (var window in group.Windows)
        {
            if (window.IsZero)
            {
                AppendZeros(window.Length);
            }
            else
            {
                Append(leaves[next++]);
            }
        }
    }

    /// <summary>Adds that many bytes of zeros, in whole blocks and at the disk's end perhaps a short one.</summary>
    public void AppendZeros(long length)
    {
        var blocks = length / BlockSize;
        while (blocks > 0)
        {
            // The tallest tree of zeros that is complete in itself here: its place a multiple of its size, and all of it zero.
            var height = _leafCount == 0 ? 62 : long.TrailingZeroCount(_leafCount);
            height = Math.Min(height, long.Log2(blocks));
            AppendTree(ZeroTree((int)height), (int)height);
            blocks -= 1L << (int)height;
        }

        var rest = (int)(length % BlockSize);
        if (rest > 0)
        {
            Append(Leaf(new byte[rest]));
            _lastIsShort = true;
        }
    }

    /// <summary>The hash of the whole.</summary>
    /// <param name="length">Bytes of disk.</param>
    public byte[] Root(long length)
    {
        if (_leafCount == 0)
        {
            Append(Leaf([]));
        }

        byte[]? top = null;
        foreach (var tree in _trees) // shortest, and rightmost, first
        {
            top = top is null ? tree : Node(tree, top);
        }

        Span<byte> input = stackalloc byte[1 + sizeof(ulong) + HashSize];
        input[0] = RootPrefix;
        BinaryPrimitives.WriteUInt64BigEndian(input[1..], (ulong)length);
        top.CopyTo(input[(1 + sizeof(ulong))..]);
        return SHA256.HashData(input);
    }

    private void AppendTree(byte[] tree, int height)
    {
        System.Diagnostics.Debug.Assert(!_lastIsShort, "A short block is the last.");
        System.Diagnostics.Debug.Assert((_leafCount & ((1L << height) - 1)) == 0, "A tree begins at a multiple of its size.");
        for (var bit = height; (_leafCount & (1L << bit)) != 0; bit++)
        {
            tree = Node(_trees.Pop(), tree);
        }

        _trees.Push(tree);
        _leafCount += 1L << height;
    }

    private byte[] ZeroTree(int height)
    {
        if (_zeroTrees.Count == 0)
        {
            _zeroTrees.Add(Leaf(new byte[BlockSize]));
        }

        while (_zeroTrees.Count <= height)
        {
            _zeroTrees.Add(Node(_zeroTrees[^1], _zeroTrees[^1]));
        }

        return _zeroTrees[height];
    }

    private static byte[] Node(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right)
    {
        Span<byte> input = stackalloc byte[1 + (2 * HashSize)];
        input[0] = NodePrefix;
        left.CopyTo(input[1..]);
        right.CopyTo(input[(1 + HashSize)..]);
        return SHA256.HashData(input);
    }
}
