using VhdCore.Errors;
using VhdCore.Formats;
using VhdCore.Primitives;
using VhdCore.Vhd;

namespace VhdCore.Operations.Streams;

/// <summary>A raw disk, or a fixed VHD, which differs from one only by the footer behind its last byte: so the last bytes that came are always held back.</summary>
/// <param name="reader">Where from.</param>
/// <param name="name">For messages.</param>
/// <param name="front">The first bytes.</param>
/// <param name="options">How to understand it; without a format, the end decides.</param>
/// <param name="size">Bytes of disk that must come; null takes all there are.</param>
internal sealed class FlatStreamContent(ForwardReader reader, string name, ReadOnlyMemory<byte> front, ImageOpenOptions options, long? size) : DiskStreamContent
{
    private readonly byte[] _ahead = new byte[FormatDetector.TailSize];
    private ImageFormat _format = options.Format ?? ImageFormat.Raw;
    private long? _length = size is { } known ? Alignment.Up(known, VhdLayout.SectorSize) : null;
    private long _offset; // where the next piece begins
    private int _aheadLength;
    private bool _isEnded;

    public override ImageFormat Format => _format;

    public override ImageKind Kind => ImageKind.Fixed;

    public override long? Length => _length;

    /// <summary>Bytes of disk that came, where they are no whole sectors; the last sector is filled up with zeros.</summary>
    public long? LengthBeforeRounding { get; private set; }

    public override ValueTask<StreamPiece?> NextAsync(WorkerBuffer buffer, CancellationToken cancellationToken) =>
        _isEnded ? ValueTask.FromResult<StreamPiece?>(null)
        : size is { } known ? NextOfKnownAsync(known, buffer, cancellationToken)
        : NextOfUnknownAsync(buffer, cancellationToken);

    private async ValueTask<StreamPiece?> NextOfKnownAsync(long known, WorkerBuffer buffer, CancellationToken cancellationToken)
    {
        if (_offset < known)
        {
            var wanted = (int)Math.Min(ConvertOperation.WindowSize, known - _offset);
            var count = await reader.ReadAsync(buffer, 0, wanted, cancellationToken).ConfigureAwait(false);
            return count == wanted ? Piece(buffer, count) : throw new CorruptImageException(
                $"'{name}' ended after {_offset + count} bytes, and the disk is to have {known}: it was cut short, or its writer failed. Look at what the writer said.", name, _offset + count);
        }

        _isEnded = true;
        var rest = await reader.ReadAsync(_ahead, cancellationToken).ConfigureAwait(false);
        if (rest == 0 && options.Format != ImageFormat.Vhd)
        {
            return null;
        }

        var more = rest == _ahead.Length ? await reader.NextAsync(1, cancellationToken).ConfigureAwait(false) : default;
        if (_format == ImageFormat.Raw && (options.Format == ImageFormat.Raw || !more.IsEmpty || FormatDetector.Detect(front.Span, _ahead.AsSpan(0, rest), known, name) == ImageFormat.Raw))
        {
            throw new CorruptImageException($"'{name}' goes on behind the {known} bytes that the disk is to have: the size is another, or this is no raw disk. Give the right size, or leave it out.", name, known);
        }

        var length = await ReadFooterAsync(known + rest, _ahead.AsMemory(0, rest), cancellationToken).ConfigureAwait(false);
        return length == known ? null : throw new CorruptImageException(
            $"'{name}': by its footer the disk has {length} bytes, and it is to have {known}. Leave the size out: the footer has it.", name, known);
    }

    private async ValueTask<StreamPiece?> NextOfUnknownAsync(WorkerBuffer buffer, CancellationToken cancellationToken)
    {
        _ahead.AsSpan(0, _aheadLength).CopyTo(buffer.Span(0, _aheadLength));
        var filled = _aheadLength + await reader.ReadAsync(buffer, _aheadLength, ConvertOperation.WindowSize - _aheadLength, cancellationToken).ConfigureAwait(false);
        _aheadLength = await reader.ReadAsync(_ahead, cancellationToken).ConfigureAwait(false);
        if (_aheadLength == _ahead.Length)
        {
            return Piece(buffer, filled);
        }

        _isEnded = true;
        _ahead.AsSpan(0, _aheadLength).CopyTo(buffer.Span(filled, _aheadLength));
        filled += _aheadLength;
        var total = _offset + filled;
        if (total == 0)
        {
            throw new CorruptImageException($"'{name}' ended before a byte came: its writer failed, or had nothing to say.", name);
        }

        var tail = buffer.Span(0, filled)[^Math.Min(filled, FormatDetector.TailSize)..].ToArray();
        _format = options.Format ?? FormatDetector.Detect(front.Span, tail, total - tail.Length, name);
        var end = _format == ImageFormat.Raw ? total : await ReadFooterAsync(total, tail, cancellationToken).ConfigureAwait(false);
        _length = Alignment.Up(end, VhdLayout.SectorSize);

        // Where a geometry says that the disk is smaller than what came, all of it may have gone out before. What takes it is cut to the length then.
        return end > _offset ? Piece(buffer, (int)(end - _offset)) : null;
    }

    private StreamPiece Piece(WorkerBuffer buffer, int count)
    {
        var length = (int)Alignment.Up(count, VhdLayout.SectorSize);
        if (length != count)
        {
            buffer.Span(count, length - count).Clear();
            LengthBeforeRounding = _offset + count;
        }

        var piece = new StreamPiece(_offset, length, IsZero: false);
        _offset += count;
        return piece;
    }

    /// <summary>Judges a fixed VHD by its end, as a file is judged.</summary>
    /// <returns>Bytes of disk.</returns>
    private async ValueTask<long> ReadFooterAsync(long total, ReadOnlyMemory<byte> tail, CancellationToken cancellationToken)
    {
        var ends = new StreamEnds(name, front, tail, total);
        var metadata = await VhdMetadataReader.ReadAsync(ends, options, cancellationToken).ConfigureAwait(false);
        if (metadata.Kind != ImageKind.Fixed)
        {
            throw new CorruptImageException(
                $"'{name}' ends with the footer of a dynamic or differencing VHD, and does not begin with one: its first sector is damaged. Save it to a file, and see what 'vhdkit check' says.", name, fileOffset: 0);
        }

        _format = ImageFormat.Vhd;
        return metadata.VirtualSize;
    }
}
