namespace CustomStorage;

/// <summary>Bytes with a name, and how often they were asked for.</summary>
internal sealed class MemoryFile
{
    private byte[] _bytes = [];

    public long Length { get; private set; }

    public int Reads { get; private set; }

    public int Flushes { get; private set; }

    public Lock Gate { get; } = new();

    /// <summary>Under <see cref="Gate"/>.</summary>
    public ReadOnlySpan<byte> Read(long offset, long length)
    {
        Reads++;
        return _bytes.AsSpan((int)offset, (int)length);
    }

    /// <summary>Under <see cref="Gate"/>. Grows when the range ends behind the end.</summary>
    public Span<byte> Write(long offset, long length)
    {
        SetLength(Math.Max(Length, offset + length));
        return _bytes.AsSpan((int)offset, (int)length);
    }

    /// <summary>Under <see cref="Gate"/>. What is added reads as zeros.</summary>
    public void SetLength(long length)
    {
        if (length > _bytes.Length)
        {
            Array.Resize(ref _bytes, (int)Math.Max(length, Math.Min(_bytes.Length * 2L, Array.MaxLength)));
        }

        _bytes.AsSpan((int)Math.Min(length, Length)..(int)Math.Max(length, Length)).Clear();
        Length = length;
    }

    public void Flush() => Flushes++;
}
