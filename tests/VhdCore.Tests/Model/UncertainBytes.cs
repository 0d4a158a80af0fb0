namespace VhdCore.Tests.Model;

/// <summary>What a disk may hold when some requests have failed on their way, byte by byte: now, and after it was left without closing.</summary>
internal sealed class UncertainBytes(byte[] content)
{
    private readonly Values _now = new(content);
    private readonly Values _sinceFlush = new(content); // every value that a byte may have had since the last flush that succeeded

    /// <summary>Bytes were written, or may have been.</summary>
    public void Write(int offset, ReadOnlySpan<byte> content, bool isCertain)
    {
        for (var i = 0; i < content.Length; i++)
        {
            if (isCertain)
            {
                _now.Set(offset + i, content[i]);
            }
            else
            {
                _now.Add(offset + i, content[i]);
            }

            _sinceFlush.Add(offset + i, content[i]);
        }
    }

    /// <summary>What is seen now is what there is.</summary>
    /// <returns>The first byte that cannot be; -1 when all can.</returns>
    public int Observe(int offset, ReadOnlySpan<byte> content)
    {
        for (var i = 0; i < content.Length; i++)
        {
            if (!_now.Has(offset + i, content[i]))
            {
                return offset + i;
            }

            _now.Set(offset + i, content[i]);
        }

        return -1;
    }

    public void Flushed() => _sinceFlush.CopyFrom(_now);

    /// <summary>The first byte that the disk cannot have when it is opened again without having been closed; -1 when all are possible.</summary>
    public int FindImpossibleAfterReopening(ReadOnlySpan<byte> content)
    {
        for (var i = 0; i < content.Length; i++)
        {
            if (!_sinceFlush.Has(i, content[i]))
            {
                return i;
            }
        }

        return -1;
    }

    /// <summary>The values that each byte may have: one, and seldom more.</summary>
    private sealed class Values(byte[] content)
    {
        private readonly byte[] _first = (byte[])content.Clone();
        private readonly HashSet<byte>?[] _others = new HashSet<byte>?[content.Length];

        public bool Has(int at, byte value) => _first[at] == value || _others[at]?.Contains(value) == true;

        public void Set(int at, byte value)
        {
            _first[at] = value;
            _others[at] = null;
        }

        public void Add(int at, byte value)
        {
            if (_first[at] != value)
            {
                (_others[at] ??= []).Add(value);
            }
        }

        public void CopyFrom(Values other)
        {
            other._first.CopyTo(_first, 0);
            for (var i = 0; i < _others.Length; i++)
            {
                _others[i] = other._others[i] is { } values ? [.. values] : null;
            }
        }
    }
}
