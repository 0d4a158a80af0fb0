using System.Buffers.Binary;
using System.Collections;
using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Primitives;
using VhdCore.Vhd;

namespace VhdCore.Operations.Streams;

/// <summary>A dynamic VHD whose table comes before its blocks. The blocks may come in any order.</summary>
internal sealed class DynamicStreamContent : DiskStreamContent
{
    private const int MaxFront = (VhdLayout.MaxBlockCount * VhdLayout.BatEntrySize) + (16 << 20); // bytes kept until the table has come
    private const long MaxZeroLength = 256L << 20; // bytes in a piece

    private readonly ForwardReader _reader;
    private readonly string _name;
    private readonly ImageOpenOptions _options;
    private readonly VhdMetadata _metadata;
    private readonly uint[] _entries;
    private readonly ulong[]? _places; // entry and index, in the stream's order; null where that is the disk's
    private readonly int _blockSize;
    private int _next; // in-order: a block; otherwise a place, or before those, a block that has none
    private bool _isInPlaces;
    private int _block = -1; // that is under way
    private int _inBlock;
    private VhdSectorBitmap _bitmap = VhdSectorBitmap.Full;
    private bool _isEnded;

    private DynamicStreamContent(ForwardReader reader, string name, ImageOpenOptions options, VhdMetadata metadata, uint[] entries)
    {
        _reader = reader;
        _name = name;
        _options = options;
        _metadata = metadata;
        _entries = entries;
        _blockSize = (int)metadata.Header!.BlockSize;
        _places = Places(entries);
    }

    public override ImageFormat Format => ImageFormat.Vhd;

    public override ImageKind Kind => ImageKind.Dynamic;

    public override long? Length => _metadata.VirtualSize;

    public override bool IsInOrder => _places is null;

    /// <summary>Whether a stream that begins so is for this class.</summary>
    public static bool Begins(ReadOnlySpan<byte> front) =>
        front.Length >= VhdLayout.FooterSize && new VhdFooterView(front) is { HasCookie: true, DiskType: not VhdDiskType.Fixed };

    /// <summary>Reads up to the table.</summary>
    /// <exception cref="ImageException">It cannot be read in one forward pass, or contradicts the format.</exception>
    public static async ValueTask<DynamicStreamContent> OpenAsync(ForwardReader reader, string name, ImageOpenOptions options, CancellationToken cancellationToken)
    {
        var front = await PeekAsync(reader, name, VhdLayout.FooterSize, "the footer's copy", cancellationToken).ConfigureAwait(false);
        var footer = new VhdFooterView(front.Span).ToFooter();
        if (footer.DiskType == VhdDiskType.Differencing)
        {
            throw new UnsupportedImageException($"'{name}' is a differencing disk, which is nothing without its parent. Save it to a file beside the parent, and convert that.", name, fileOffset: 0);
        }

        front = await PeekAsync(reader, name, EndOf(footer.DataOffset, VhdLayout.HeaderSize, name, "the dynamic header"), "the dynamic header", cancellationToken).ConfigureAwait(false);
        var metadata = await ExamineAsync(front, name, options, warns: false, cancellationToken).ConfigureAwait(false);
        var header = metadata.Header!;
        front = await PeekAsync(
            reader, name, EndOf(header.TableOffset, (long)metadata.BlockCount * VhdLayout.BatEntrySize, name, "the block allocation table"), "the block allocation table", cancellationToken).ConfigureAwait(false);
        var batmapEnd = Alignment.Up((long)header.TableOffset + ((long)header.MaxTableEntries * VhdLayout.BatEntrySize), VhdLayout.SectorSize) + VhdLayout.HeaderSize;
        if (batmapEnd <= MaxFront)
        {
            front = await reader.PeekAsync((int)Math.Max(front.Length, batmapEnd), cancellationToken).ConfigureAwait(false);
        }

        metadata = await ExamineAsync(front, name, options, warns: true, cancellationToken).ConfigureAwait(false);
        var entries = new uint[metadata.BlockCount];
        for (var i = 0; i < entries.Length; i++)
        {
            entries[i] = BinaryPrimitives.ReadUInt32BigEndian(front.Span[((int)header.TableOffset + (i * VhdLayout.BatEntrySize))..]);
        }

        return VhdBatValidator.FirstProblem(entries, metadata, StreamEnds.Endless) is { } problem
            ? throw new CorruptImageException($"'{name}': {problem.Describe(metadata, StreamEnds.Endless)}", name, problem.EntryOffset(metadata))
            : new DynamicStreamContent(reader, name, options, metadata, entries);
    }

    public override void MarkPresent(BitArray blocks, int blockSize)
    {
        for (var i = 0; i < _entries.Length; i++)
        {
            if (_entries[i] != VhdLayout.UnusedEntry)
            {
                var offset = (long)i * _blockSize;
                var end = Alignment.CountOf(offset + _metadata.UsedBlockSize(i), blockSize);
                for (var block = offset / blockSize; block < end; block++)
                {
                    blocks[(int)block] = true;
                }
            }
        }
    }

    public override async ValueTask<StreamPiece?> NextAsync(WorkerBuffer buffer, CancellationToken cancellationToken)
    {
        if (_block >= 0)
        {
            return await ReadBlockAsync(buffer, cancellationToken).ConfigureAwait(false);
        }

        if (_places is null || !_isInPlaces)
        {
            while (_next < _entries.Length)
            {
                if (_entries[_next] == VhdLayout.UnusedEntry)
                {
                    return ZeroPiece();
                }

                _next++;
                if (_places is null)
                {
                    return await BeginBlockAsync(_next - 1, buffer, cancellationToken).ConfigureAwait(false);
                }
            }

            (_isInPlaces, _next) = (true, _places is null ? int.MaxValue : 0);
        }

        if (_places is not null && _next < _places.Length)
        {
            return await BeginBlockAsync((int)(uint)_places[_next++], buffer, cancellationToken).ConfigureAwait(false);
        }

        if (!_isEnded)
        {
            _isEnded = true;
            await ReadEndAsync(cancellationToken).ConfigureAwait(false);
        }

        return null;
    }

    private static ulong[]? Places(uint[] entries)
    {
        uint last = 0;
        var isInOrder = true;
        var count = 0;
        foreach (var entry in entries)
        {
            if (entry != VhdLayout.UnusedEntry)
            {
                isInOrder &= entry > last;
                last = entry;
                count++;
            }
        }

        if (isInOrder)
        {
            return null;
        }

        var places = new ulong[count];
        count = 0;
        for (var i = 0; i < entries.Length; i++)
        {
            if (entries[i] != VhdLayout.UnusedEntry)
            {
                places[count++] = ((ulong)entries[i] << 32) | (uint)i;
            }
        }

        Array.Sort(places);
        return places;
    }

    private static int EndOf(ulong offset, long length, string name, string structure) => offset <= MaxFront && length <= MaxFront - (long)offset
        ? (int)((long)offset + length)
        : throw new UnsupportedImageException(
            $"'{name}': {structure} lies at byte {offset}, behind what can be kept of a stream until it comes. Save the image to a file, and convert that.", name, fileOffset: 0);

    private static async ValueTask<ReadOnlyMemory<byte>> PeekAsync(ForwardReader reader, string name, int count, string structure, CancellationToken cancellationToken)
    {
        var front = await reader.PeekAsync(count, cancellationToken).ConfigureAwait(false);
        return front.Length == count ? front : throw CutShort(name, front.Length, structure);
    }

    private static CorruptImageException CutShort(string name, long at, string where) => new(
        $"'{name}' ended after {at} bytes, before the end of {where}: it was cut short, or its writer failed. Look at what the writer said.", name, at);

    // Of a stream, the end is still to come, and that it is missing is no finding.
    private static async ValueTask<VhdMetadata> ExamineAsync(ReadOnlyMemory<byte> front, string name, ImageOpenOptions options, bool warns, CancellationToken cancellationToken)
    {
        var examination = await VhdExaminer.ExamineAsync(new StreamEnds(name, front, default, StreamEnds.Endless), options, cancellationToken).ConfigureAwait(false);
        if (examination.Refusal(options) is { } refusal)
        {
            throw refusal;
        }

        foreach (var finding in examination.Findings)
        {
            if (warns && finding.Severity != FindingSeverity.Note && finding.Id != VhdFindingId.FooterEndMissing)
            {
                options.OnWarning?.Invoke(new ImageWarning(name, finding.Message));
            }
        }

        return examination.Metadata!;
    }

    private StreamPiece ZeroPiece()
    {
        var first = _next;
        while (_next < _entries.Length && _entries[_next] == VhdLayout.UnusedEntry && (long)(_next - first) * _blockSize < MaxZeroLength)
        {
            _next++;
        }

        var offset = (long)first * _blockSize;
        return new StreamPiece(offset, Math.Min(_metadata.VirtualSize, (long)_next * _blockSize) - offset, IsZero: true);
    }

    private async ValueTask<StreamPiece?> BeginBlockAsync(int block, WorkerBuffer buffer, CancellationToken cancellationToken)
    {
        (_block, _inBlock) = (block, 0);
        var start = (long)_entries[block] * VhdLayout.SectorSize;
        var bitmap = new byte[VhdLayout.BitmapSize(_blockSize)];
        if (!await _reader.SkipAsync(start - _reader.Position, cancellationToken).ConfigureAwait(false)
            || await _reader.ReadAsync(bitmap, cancellationToken).ConfigureAwait(false) != bitmap.Length)
        {
            throw CutShort(_name, _reader.Position, $"block {block}");
        }

        _bitmap = VhdSectorBitmap.Parse(bitmap, _blockSize / VhdLayout.SectorSize);
        return await ReadBlockAsync(buffer, cancellationToken).ConfigureAwait(false);
    }

    private async ValueTask<StreamPiece?> ReadBlockAsync(WorkerBuffer buffer, CancellationToken cancellationToken)
    {
        var used = _metadata.UsedBlockSize(_block);
        var length = Math.Min(ConvertOperation.WindowSize, used - _inBlock);
        if (await _reader.ReadAsync(buffer, 0, length, cancellationToken).ConfigureAwait(false) != length)
        {
            throw CutShort(_name, _reader.Position, $"block {_block}");
        }

        ClearAbsent(buffer, length);
        var piece = new StreamPiece(((long)_block * _blockSize) + _inBlock, length, IsZero: false);
        _inBlock += length;
        _block = _inBlock == used ? -1 : _block;
        return piece;
    }

    private void ClearAbsent(WorkerBuffer buffer, int length)
    {
        for (var at = 0; at < length && !_bitmap.IsFull;)
        {
            var run = _bitmap.RunLength((_inBlock + at) / VhdLayout.SectorSize, (length - at) / VhdLayout.SectorSize, out var isPresent) * VhdLayout.SectorSize;
            if (!isPresent)
            {
                buffer.Span(at, run).Clear();
            }

            at += run;
        }
    }

    // Without the footer nobody can tell that all has come.
    private async ValueTask ReadEndAsync(CancellationToken cancellationToken)
    {
        var tail = new byte[VhdLayout.FooterSize];
        while (await _reader.NextAsync(long.MaxValue, cancellationToken).ConfigureAwait(false) is { IsEmpty: false } bytes)
        {
            if (bytes.Length < tail.Length)
            {
                tail.AsSpan(bytes.Length).CopyTo(tail);
            }

            var count = Math.Min(bytes.Length, tail.Length);
            bytes.Span[^count..].CopyTo(tail.AsSpan(tail.Length - count));
        }

        JudgeEnd(tail);
    }

    private void JudgeEnd(byte[] tail)
    {
        if (!new VhdFooterView(tail).HasCookie)
        {
            tail = [.. tail[1..], 0]; // 511 bytes, before Virtual PC 2004
        }

        var end = new VhdFooterView(tail);
        if (!end.HasCookie || !(end.ChecksumIsValid() || _options.IgnoreBadChecksum) || end.UniqueId != _metadata.Footer.UniqueId)
        {
            throw new CorruptImageException(
                $"'{_name}' ended after {_reader.Position} bytes without the footer that ends a VHD: it was cut short, or its writer failed. Look at what the writer said; if the image is known to be so, save it to a file, and convert that.",
                _name, _reader.Position);
        }

        var (size, rule) = VhdSizeRule.Choose(end.ToFooter(), _options.VhdSize);
        if ((long)(size & ~(VhdLayout.SectorSize - 1UL)) != _metadata.VirtualSize)
        {
            throw new UnsupportedImageException(
                $"'{_name}': by {rule} in the footer at the end the disk has {size} bytes, and by the copy at the start {_metadata.VirtualSize}. Save the image to a file, and convert that.", _name, _reader.Position);
        }
    }
}
