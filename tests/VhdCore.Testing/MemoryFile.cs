namespace VhdCore.Testing;

/// <summary>What a name in a <see cref="MemoryStorageResolver"/> stands for; outlives the name while storages are open on it.</summary>
internal sealed class MemoryFile
{
    public Lock Gate { get; } = new();

    public SparseBytes Content { get; private init; } = new();

    public int ReaderCount { get; set; }

    public bool HasWriter { get; set; }

    /// <summary>The same content under nobody's lock.</summary>
    public MemoryFile Copy()
    {
        lock (Gate)
        {
            return new MemoryFile { Content = Content.Copy() };
        }
    }

    public byte[] ToArray()
    {
        lock (Gate)
        {
            using var buffer = new NativeBuffer(checked((int)Content.Length));
            Content.Read(0, buffer.Buffers, 0, buffer.Length);
            return buffer.Span.ToArray();
        }
    }

    public void Replace(ReadOnlySpan<byte> content)
    {
        using var buffer = new NativeBuffer(content);
        lock (Gate)
        {
            Content.SetLength(0);
            Content.Write(0, buffer.Buffers, 0, buffer.Length);
        }
    }
}
