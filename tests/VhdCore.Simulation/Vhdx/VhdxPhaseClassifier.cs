using System.Buffers.Binary;
using VhdCore.Testing.Crash;
using VhdCore.Testing.Independent;

namespace VhdCore.Simulation.Vhdx;

/// <summary>Says what a step of the leaf's file is for, by where it writes and what.</summary>
internal sealed class VhdxPhaseClassifier(VhdxPlan plan)
{
    private const int OneMiB = 1 << 20;

    private readonly PlainVhdxBuilder _layout = plan.Layout;
    private VhdxCutPhase? _unflushed; // the most telling of what was written since the last flush
    private bool _isTrimPending;

    /// <summary>A block was taken out of use; the next round makes it durable.</summary>
    public void Trimmed() => _isTrimPending = true;

    public VhdxCutPhase Classify(CrashStep step, CrashWorld world)
    {
        switch (step.Kind)
        {
            case CrashStepKind.FlushStarting:
                return _unflushed ?? VhdxCutPhase.Payload;

            case CrashStepKind.Flushed:
                var phase = _unflushed ?? VhdxCutPhase.Payload;
                _isTrimPending &= phase != VhdxCutPhase.TrimAndReuse;
                _unflushed = null;
                return phase;

            case CrashStepKind.Punch:
                return VhdxCutPhase.TrimAndReuse;

            case CrashStepKind.Write:
                return ClassifyWrite(step, world);

            default:
                return VhdxCutPhase.Length;
        }
    }

    private VhdxCutPhase ClassifyWrite(CrashStep step, CrashWorld world)
    {
        if (step.Offset < OneMiB)
        {
            _unflushed ??= VhdxCutPhase.Header;
            return VhdxCutPhase.Header;
        }

        if (step.Offset < PlainVhdxBuilder.LogOffset + _layout.LogSize)
        {
            // The first round comes with a header.
            _unflushed = _isTrimPending ? VhdxCutPhase.TrimAndReuse : VhdxCutPhase.LogRound;
            return _unflushed.Value;
        }

        if (step.Offset < _layout.DataOffset || IsBitmap(step.Offset, world))
        {
            return VhdxCutPhase.Apply;
        }

        var cell = world.PeekCell(step.Name, (int)(step.Offset / SectorOracle.SectorSize));
        return cell is null || !cell.AsSpan().ContainsAnyExcept((byte)0) ? VhdxCutPhase.TrimAndReuse : VhdxCutPhase.Payload;
    }

    private bool IsBitmap(long offset, CrashWorld world)
    {
        for (var chunk = 0; plan.ParentCount > 0 && chunk < _layout.ChunkCount; chunk++)
        {
            var entry = _layout.BitmapEntryOffset(chunk);
            var cell = world.PeekCell(VhdxPlan.Leaf, (int)(entry / SectorOracle.SectorSize));
            var place = cell is null ? 0 : (long)BinaryPrimitives.ReadUInt64LittleEndian(cell.AsSpan((int)(entry % SectorOracle.SectorSize))) & ~7L;
            if (place > 0 && offset >= place && offset < place + OneMiB)
            {
                return true;
            }
        }

        return false;
    }
}
