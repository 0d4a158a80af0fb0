using VhdCore.Devices;
using VhdCore.Primitives;

namespace VhdCore.Operations;

/// <summary>Reads the blocks of a group and hashes them: sixteen at once where the processor can, one after the other otherwise.</summary>
internal sealed class TreeHashWorker(IBlockDevice device) : IDisposable
{
    private const int PieceSize = 256 << 10; // bytes of each of sixteen blocks that are read before they are hashed
    private const int PieceStart = 512; // bytes into a lane; what comes before a piece in its message is the byte before
    private const int Stride = PieceSize + 4096 + PieceStart; // bytes; lanes a multiple of 4096 apart would meet in few lines of the cache
    private const int FewestLanes = 6; // below, one after the other is quicker

    private readonly WorkerBuffer _buffer = new(Math.Max(Sha256Lanes.Count * Stride, TreeHash.BlockSize));
    private readonly Sha256Lanes? _lanes = Sha256Lanes.IsSupported ? new Sha256Lanes() : null;

    /// <summary>The hashes of the group's windows that have data, in order.</summary>
    public async ValueTask<IReadOnlyList<byte[]>> HashAsync(TreeHashGroup group, CancellationToken cancellationToken)
    {
        var windows = group.Windows.Where(window => !window.IsZero).ToList();
        var whole = windows.Count(window => window.Length == TreeHash.BlockSize);
        var hashes = new List<byte[]>(windows.Count);
        if (_lanes is not null && whole >= FewestLanes)
        {
            hashes.AddRange(await HashTogetherAsync(windows[..whole], _lanes, cancellationToken).ConfigureAwait(false));
        }

        foreach (var window in windows.Skip(hashes.Count)) // a short one is the disk's last
        {
            await ReadAsync(window, window.Offset, (int)window.Length, 0, cancellationToken).ConfigureAwait(false);
            hashes.Add(TreeHash.Leaf(_buffer.Span(0, (int)window.Length)));
        }

        return hashes;
    }

    public void Dispose() => _buffer.Dispose();

    private async ValueTask<IEnumerable<byte[]>> HashTogetherAsync(List<DiskWindow> windows, Sha256Lanes lanes, CancellationToken cancellationToken)
    {
        lanes.Reset();
        for (var lane = 0; lane < windows.Count; lane++)
        {
            _buffer.Span((lane * Stride) + PieceStart - 1, 1)[0] = TreeHash.LeafPrefix;
        }

        for (var piece = 0; piece < TreeHash.BlockSize; piece += PieceSize)
        {
            for (var lane = 0; lane < windows.Count; lane++)
            {
                var window = windows[lane];
                await ReadAsync(window, window.Offset + piece, PieceSize, (lane * Stride) + PieceStart, cancellationToken).ConfigureAwait(false);
            }

            Append(lanes);
        }

        return Finish(lanes, windows.Count);
    }

    /// <summary>Takes in all but the last byte of each piece, which goes before the next one.</summary>
    private void Append(Sha256Lanes lanes)
    {
        lanes.Append(_buffer.Span(PieceStart - 1, _buffer.Size - PieceStart + 1), Stride, PieceSize);
        for (var lane = 0; lane < Sha256Lanes.Count; lane++)
        {
            var start = (lane * Stride) + PieceStart - 1;
            _buffer.Span(start, 1)[0] = _buffer.Span(start + PieceSize, 1)[0];
        }
    }

    private IEnumerable<byte[]> Finish(Sha256Lanes lanes, int count)
    {
        Span<byte> last = stackalloc byte[Sha256Lanes.Count];
        for (var lane = 0; lane < last.Length; lane++)
        {
            last[lane] = _buffer.Span((lane * Stride) + PieceStart - 1, 1)[0];
        }

        var hashes = new byte[Sha256Lanes.Count * Sha256Lanes.HashSize];
        lanes.Finish(last, 1L + TreeHash.BlockSize, hashes);
        return hashes.Chunk(Sha256Lanes.HashSize).Take(count);
    }

    /// <summary>Reads a part of a window into the buffer, with zeros where the disk has them.</summary>
    private async ValueTask ReadAsync(DiskWindow window, long offset, int length, int start, CancellationToken cancellationToken)
    {
        var filled = 0;
        foreach (var range in window.Data)
        {
            var from = Math.Max(range.Offset, offset);
            var to = Math.Min(range.Offset + range.Length, offset + length);
            if (from >= to)
            {
                continue;
            }

            var place = (int)(from - offset);
            _buffer.Span(start + filled, place - filled).Clear();
            await DeviceRequest.ReadAsync(device, from, _buffer.Slice(start + place, (int)(to - from)), cancellationToken).ConfigureAwait(false);
            filled = (int)(to - offset);
        }

        _buffer.Span(start + filled, length - filled).Clear();
    }
}
