using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Primitives;
using VhdService.Hosting;
using VhdService.Scsi.Wire;

namespace VhdService.Scsi;

/// <summary>The commands on the medium that are more than one request to the device, or move data that is not the guest's memory.</summary>
internal sealed class ScsiMediumCommands(IBlockDevice device, DiskGeometry geometry)
{
    private const int ChunkSize = 256 << 10; // bytes; what is verified and repeated at once

    /// <summary>READ with FUA: what a cache holds goes to the medium first (SBC-3, 5.8).</summary>
    public async ValueTask<ScsiResult> ReadFromMediumAsync(long offset, BlockBuffers into, ScsiResult resultIfOk, CancellationToken cancellationToken)
    {
        var status = await device.FlushAsync(cancellationToken).ConfigureAwait(false);
        if (status == BlockStatus.Ok)
        {
            status = await device.ReadAsync(offset, into, cancellationToken).ConfigureAwait(false);
        }

        return status == BlockStatus.Ok ? resultIfOk : Failed(status, isWrite: false);
    }

    /// <summary>UNMAP: every range is judged before the first is given up.</summary>
    public async ValueTask<ScsiResult> UnmapAsync(ScsiRequest request, CancellationToken cancellationToken)
    {
        if (device.Info.IsReadOnly)
        {
            return ScsiResult.Check(ScsiSense.WriteProtected);
        }

        var listLength = request.Cdb.ParameterListLength;
        if (listLength == 0)
        {
            return ScsiResult.Good();
        }

        if (listLength > request.Data.Length || request.Direction != ScsiDirection.ToUnit)
        {
            return ScsiResult.DataOverrun(0);
        }

        if (listLength < UnmapList.HeaderSize || (request.Cdb.Flags & 0x01) != 0) // ANCHOR is not known here
        {
            return ScsiResult.Check(listLength < UnmapList.HeaderSize ? ScsiSense.ParameterListLength : ScsiSense.InvalidFieldInCdb);
        }

        if (listLength > UnmapList.MaxSize)
        {
            return ScsiResult.Check(ScsiSense.InvalidFieldInParameters);
        }

        // Copied before it is judged: the guest's memory may change at any time.
        var list = new byte[listLength];
        request.Data.CopyTo(0, list);
        var refusal = JudgeUnmap(list);
        if (refusal.IsPresent)
        {
            return ScsiResult.Check(refusal);
        }

        for (var i = 0; i < new UnmapList(list).Count; i++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (!geometry.TryGetRange(new UnmapList(list).Lba(i), new UnmapList(list).BlockCount(i), out var offset, out var length))
            {
                return ScsiResult.Check(ScsiSense.LbaOutOfRange); // the disk has shrunk meanwhile
            }

            var status = length == 0 ? BlockStatus.Ok : await device.TrimAsync(offset, length, cancellationToken).ConfigureAwait(false);
            if (status is not (BlockStatus.Ok or BlockStatus.Unsupported)) // a trim is a hint: a disk that cannot has done its part
            {
                return Failed(status, isWrite: true);
            }
        }

        return ScsiResult.Good(listLength);
    }

    /// <summary>WRITE SAME: one block of data, or zeros, over a range.</summary>
    public async ValueTask<ScsiResult> WriteSameAsync(ScsiRequest request, CancellationToken cancellationToken)
    {
        var isWithoutData = request.Cdb.Opcode == ScsiOpcode.WriteSame16 && request.Cdb.HasNoData;
        var refusal = JudgeWriteSame(request, isWithoutData, out var offset, out var length);
        if (refusal.IsPresent)
        {
            return ScsiResult.Check(refusal);
        }

        if (isWithoutData)
        {
            return await ZeroAsync(offset, length, 0, cancellationToken).ConfigureAwait(false);
        }

        if (request.Data.Length < geometry.BlockSize || request.Direction != ScsiDirection.ToUnit)
        {
            return ScsiResult.DataOverrun(0);
        }

        using var pattern = new ScratchBuffer((int)Math.Max(geometry.BlockSize, Math.Min(length, ChunkSize)));
        var block = pattern.Span[..geometry.BlockSize];
        request.Data.CopyTo(0, block);
        if (!block.ContainsAnyExcept((byte)0))
        {
            return await ZeroAsync(offset, length, geometry.BlockSize, cancellationToken).ConfigureAwait(false);
        }

        FillWithFirst(pattern.Span, geometry.BlockSize);
        for (long done = 0; done < length;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var run = Math.Min(length - done, pattern.Length);
            var status = await device.WriteAsync(offset + done, pattern.Take(run), WriteFlags.None, cancellationToken).ConfigureAwait(false);
            if (status != BlockStatus.Ok)
            {
                return Failed(status, isWrite: true);
            }

            done += run;
        }

        return ScsiResult.Good(geometry.BlockSize);
    }

    /// <summary>VERIFY: the medium can be read, and with BYTCHK holds what the guest sent.</summary>
    public async ValueTask<ScsiResult> VerifyAsync(ScsiRequest request, CancellationToken cancellationToken)
    {
        var check = request.Cdb.ByteCheck;
        if (!geometry.TryGetRange(request.Cdb, out var offset, out var length))
        {
            return ScsiResult.Check(ScsiSense.LbaOutOfRange);
        }

        if (check == 2 || request.Cdb.AsksForProtection || (check == 1 && length > geometry.MaxTransferBytes))
        {
            return ScsiResult.Check(ScsiSense.InvalidFieldInCdb);
        }

        if (length == 0)
        {
            return ScsiResult.Good();
        }

        var expectedLength = check switch { 0 => 0, 1 => length, _ => geometry.BlockSize };
        if (expectedLength > 0 && (request.Data.Length < expectedLength || request.Direction != ScsiDirection.ToUnit))
        {
            return ScsiResult.DataOverrun(0);
        }

        using var expected = new ScratchBuffer(check == 3 ? (int)Math.Max(geometry.BlockSize, Math.Min(length, ChunkSize)) : ChunkSize);
        using var actual = new ScratchBuffer(expected.Length);
        if (check == 3)
        {
            request.Data.CopyTo(0, expected.Span[..geometry.BlockSize]);
            FillWithFirst(expected.Span, geometry.BlockSize);
        }

        for (long done = 0; done < length;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var run = (int)Math.Min(length - done, actual.Length);
            var status = await device.ReadAsync(offset + done, actual.Take(run), cancellationToken).ConfigureAwait(false);
            if (status != BlockStatus.Ok)
            {
                return Failed(status, isWrite: false);
            }

            if (check == 1)
            {
                request.Data.CopyTo(done, expected.Span[..run]);
            }

            if (check != 0 && !expected.Span[..run].SequenceEqual(actual.Span[..run]))
            {
                return ScsiResult.Check(ScsiSense.Miscompare, expectedLength);
            }

            done += run;
        }

        return ScsiResult.Good(expectedLength);
    }

    private static ScsiResult Failed(BlockStatus status, bool isWrite) => ScsiResult.Check(BlockStatusMap.ToSense(status, isWrite));

    private static void FillWithFirst(Span<byte> buffer, int size)
    {
        var block = buffer[..size];
        for (var at = size; at < buffer.Length; at += size)
        {
            block.CopyTo(buffer[at..]);
        }
    }

    private ScsiSense JudgeUnmap(ReadOnlySpan<byte> list)
    {
        var ranges = new UnmapList(list);
        ulong total = 0;
        for (var i = 0; i < ranges.Count; i++)
        {
            if (!geometry.TryGetRange(ranges.Lba(i), ranges.BlockCount(i), out _, out _))
            {
                return ScsiSense.LbaOutOfRange;
            }

            total += ranges.BlockCount(i);
        }

        return total > geometry.Limits.MaxUnmap ? ScsiSense.InvalidFieldInParameters : ScsiSense.None;
    }

    private ScsiSense JudgeWriteSame(ScsiRequest request, bool isWithoutData, out long offset, out long length)
    {
        var cdb = request.Cdb;
        offset = length = 0;
        if (device.Info.IsReadOnly)
        {
            return ScsiSense.WriteProtected;
        }

        // ANCHOR, and in the 10-byte command the two bits below it, mean what is not known here.
        if (cdb.AsksForProtection || (cdb.Flags & (isWithoutData ? 0x16 : 0x17)) != 0)
        {
            return ScsiSense.InvalidFieldInCdb;
        }

        var blocks = geometry.BlockCount;
        if (cdb.Lba > blocks)
        {
            return ScsiSense.LbaOutOfRange;
        }

        // No count means all that is left (SBC-3, 5.43), which may be more than one command may cover.
        var count = cdb.BlockCount == 0 ? blocks - cdb.Lba : cdb.BlockCount;
        if (count > geometry.Limits.MaxWriteSame)
        {
            return ScsiSense.InvalidFieldInCdb;
        }

        return geometry.TryGetRange(cdb.Lba, (uint)count, out offset, out length) ? ScsiSense.None : ScsiSense.LbaOutOfRange;
    }

    private async ValueTask<ScsiResult> ZeroAsync(long offset, long length, int transferred, CancellationToken cancellationToken)
    {
        var status = await device.ZeroAsync(offset, length, WriteFlags.None, cancellationToken).ConfigureAwait(false);
        return status == BlockStatus.Ok ? ScsiResult.Good(transferred) : Failed(status, isWrite: true);
    }
}
