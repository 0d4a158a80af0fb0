using VhdCore.Devices;
using VhdCore.Errors;
using VhdCore.Primitives;
using VhdService.Hosting;
using VhdService.Scsi.Wire;

namespace VhdService.Scsi;

/// <summary>A disk as a SCSI logical unit (SPC-3, SBC-3): what a guest's commands mean for an <see cref="IBlockDevice"/>. <see cref="ScsiTarget"/> makes them.</summary>
public sealed class ScsiDisk
{
    private const int CapacityChangedBit = 1;
    private const int ResetBit = 2;

    private readonly IBlockDevice _device;
    private readonly ScsiDiskCounters _counters = new();
    private readonly ScsiMediumCommands _medium;
    private readonly ScsiParameterCommands _parameters;
    private readonly DiskGeometry _geometry;
    private int _attentions; // bits, each told once

    internal ScsiDisk(IBlockDevice device, ScsiDiskOptions options, int maxTransferBytes)
    {
        _device = device;
        Options = options;
        _geometry = new DiskGeometry(device, maxTransferBytes);
        _medium = new ScsiMediumCommands(device, _geometry);
        _parameters = new ScsiParameterCommands(device, _geometry, options);
        device.Resized += OnResized;
    }

    /// <summary>What the guest is told about the disk.</summary>
    public ScsiDiskOptions Options { get; }

    /// <summary>What the disk has done so far.</summary>
    public ScsiDiskStatistics Statistics => _counters.Snapshot();

    /// <summary>No longer a unit: the device's events do not reach it any more.</summary>
    internal void Release() => _device.Resized -= OnResized;

    /// <summary>The guest has reset the unit.</summary>
    internal void Reset() => Interlocked.Or(ref _attentions, ResetBit);

    /// <summary>Executes a command; see <see cref="ScsiTarget.ExecuteAsync"/>.</summary>
    internal ValueTask<ScsiResult> ExecuteAsync(ScsiRequest request, CancellationToken cancellationToken)
    {
        _counters.Begin(request);
        try
        {
            return Dispatch(request, cancellationToken);
        }
        catch (Exception)
        {
            // A device that breaks its contract must not take the guest's other disks with it.
            return ValueTask.FromResult(End(request, ScsiResult.Check(ScsiSense.InternalTargetFailure)));
        }
    }

    /// <summary>The end of a command that was one request to the device.</summary>
    internal ScsiResult Finish(ScsiRequest request, BlockStatus status, bool isWrite, in ScsiResult resultIfOk) =>
        End(request, status == BlockStatus.Ok ? resultIfOk : ScsiResult.Check(BlockStatusMap.ToSense(status, isWrite)));

    private ValueTask<ScsiResult> Dispatch(ScsiRequest request, CancellationToken cancellationToken)
    {
        var cdb = request.Cdb;
        if (request.CdbLength < cdb.GroupLength)
        {
            return Now(request, ScsiResult.Check(ScsiSense.InvalidFieldInCdb));
        }

        if (cdb.Opcode is not (ScsiOpcode.Inquiry or ScsiOpcode.RequestSense) && TakeAttention() is { IsPresent: true } attention)
        {
            return Now(request, ScsiResult.Check(attention));
        }

        switch (cdb.Opcode)
        {
            case ScsiOpcode.Read6 or ScsiOpcode.Read10 or ScsiOpcode.Read12 or ScsiOpcode.Read16:
                return Read(request, cancellationToken);

            case ScsiOpcode.Write6 or ScsiOpcode.Write10 or ScsiOpcode.Write12 or ScsiOpcode.Write16:
                return Write(request, cancellationToken);

            case ScsiOpcode.SynchronizeCache10 or ScsiOpcode.SynchronizeCache16:
                return _geometry.TryGetRange(cdb, out _, out _)
                    ? request.FinishWith(this, _device.FlushAsync(cancellationToken), isWrite: true, ScsiResult.Good())
                    : Now(request, ScsiResult.Check(ScsiSense.LbaOutOfRange));

            case ScsiOpcode.StartStopUnit:
                return request.FinishWith(this, _device.FlushAsync(cancellationToken), isWrite: true, ScsiResult.Good());

            case ScsiOpcode.Unmap:
                return Later(request, _medium.UnmapAsync(request, cancellationToken));

            case ScsiOpcode.WriteSame10 or ScsiOpcode.WriteSame16:
                return Later(request, _medium.WriteSameAsync(request, cancellationToken));

            case ScsiOpcode.Verify10 or ScsiOpcode.Verify16:
                return Later(request, _medium.VerifyAsync(request, cancellationToken));

            case ScsiOpcode.RequestSense:
                return Now(request, ScsiParameterCommands.RequestSense(request, TakeAttention()));

            default:
                return Now(request, _parameters.Execute(request));
        }
    }

    private ValueTask<ScsiResult> Read(ScsiRequest request, CancellationToken cancellationToken)
    {
        var refusal = _geometry.JudgeTransfer(request, ScsiDirection.FromUnit, out var offset, out var length);
        if (refusal.IsPresent || length == 0)
        {
            return Now(request, refusal.IsPresent ? ScsiResult.Check(refusal) : ScsiResult.Good());
        }

        var room = Math.Min(length, request.Data.Length);
        var result = room < length ? ScsiResult.DataOverrun(room) : ScsiResult.Good(room);
        if (room == 0)
        {
            return Now(request, result);
        }

        return request.Cdb.IsFua
            ? Later(request, _medium.ReadFromMediumAsync(offset, request.DataPrefix(room), result, cancellationToken))
            : request.FinishWith(this, _device.ReadAsync(offset, request.DataPrefix(room), cancellationToken), isWrite: false, result);
    }

    private ValueTask<ScsiResult> Write(ScsiRequest request, CancellationToken cancellationToken)
    {
        var refusal = _device.Info.IsReadOnly ? ScsiSense.WriteProtected : ScsiSense.None;
        long offset = 0;
        long length = 0;
        if (!refusal.IsPresent)
        {
            refusal = _geometry.JudgeTransfer(request, ScsiDirection.ToUnit, out offset, out length);
        }

        if (refusal.IsPresent || length == 0)
        {
            return Now(request, refusal.IsPresent ? ScsiResult.Check(refusal) : ScsiResult.Good());
        }

        if (request.Data.Length < length)
        {
            return Now(request, ScsiResult.DataOverrun(0));
        }

        var flags = request.Cdb.IsFua ? WriteFlags.Fua : WriteFlags.None;
        var write = _device.WriteAsync(offset, request.DataPrefix(length), flags, cancellationToken);
        return request.FinishWith(this, write, isWrite: true, ScsiResult.Good(length));
    }

    private ValueTask<ScsiResult> Now(ScsiRequest request, ScsiResult result) => ValueTask.FromResult(End(request, result));

    private async ValueTask<ScsiResult> Later(ScsiRequest request, ValueTask<ScsiResult> command)
    {
        ScsiResult result;
        try
        {
            result = await command.ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            result = ScsiResult.Check(ScsiSense.Aborted);
        }
        catch (Exception)
        {
            result = ScsiResult.Check(ScsiSense.InternalTargetFailure);
        }

        return End(request, result);
    }

    private ScsiResult End(ScsiRequest request, in ScsiResult result)
    {
        _counters.End(request, result);
        return result;
    }

    private ScsiSense TakeAttention()
    {
        if (Volatile.Read(ref _attentions) == 0)
        {
            return ScsiSense.None;
        }

        // A reset is told first, and alone (SAM-3, 5.8.7).
        if ((Interlocked.And(ref _attentions, ~ResetBit) & ResetBit) != 0)
        {
            return ScsiSense.ResetOccurred;
        }

        return (Interlocked.And(ref _attentions, ~CapacityChangedBit) & CapacityChangedBit) != 0 ? ScsiSense.CapacityChanged : ScsiSense.None;
    }

    private void OnResized(long length) => Interlocked.Or(ref _attentions, CapacityChangedBit);
}
